#!/usr/bin/python3
"""libberth-place as somebody else finds it: installed, found by pkg-config, and nothing else there.

    test_package.py BUILD_DIR SOURCE_DIR [CC [CXX]]

Runs the README's example, compiles every installed header alone as C and C++, and holds the symbols of
the shared library against the headers.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

BUILD, SOURCE = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
COMPILERS = sys.argv[3:]
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.scratch.name)
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--tags", "devel,runtime",
            "--destdir", cls.root / "dest")
        (cls.pc,) = (cls.root / "dest").rglob("berth-place.pc")
        (library,) = (cls.root / "dest").rglob("libberth-place.so.0")
        (cls.headers,) = (header.parent for header in (cls.root / "dest").rglob("place/place.h"))
        cls.library = library
        prefix = re.search(r"^prefix=(.*)$", cls.pc.read_text(), re.M).group(1)
        # Only what was installed: pkg-config of a system that has nothing else.
        cls.environment = dict(os.environ, PKG_CONFIG_LIBDIR=str(cls.pc.parent), PKG_CONFIG_PATH="",
                               LD_LIBRARY_PATH=str(library.parent))
        cls.prefix = f"--define-variable=prefix={cls.root}/dest{prefix}"

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def flags(self, *asked):
        return run("pkg-config", self.prefix, *asked, "berth-place", env=self.environment).split()

    def test_example_of_the_readme_runs(self):
        (example,) = re.findall(r"```c\n(.*?)```", (SOURCE / "README.md").read_text(), re.S)
        source = self.root / "example.c"
        source.write_text(example)
        for flags in (["--cflags", "--libs"], ["--cflags", "--libs", "--static"]):
            static = ["-static"] if "--static" in flags else []
            run(COMPILERS[0], *STRICT, *static, source, "-o", self.root / "example",
                *self.flags(*flags), cwd=self.root)
            answer = run(self.root / "example", env=self.environment)
            self.assertEqual(answer, "host 1\n")

    def test_the_example_has_ten_lines(self):
        (example,) = re.findall(r"```c\n(.*?)```", (SOURCE / "README.md").read_text(), re.S)
        body = re.search(r"\n\{\n(.*?)\n\}\n$", example, re.S).group(1)
        statements = body.count(";")
        self.assertLessEqual(statements, 10)

    def test_every_header_compiles_alone(self):
        names = sorted(header.name for header in self.headers.glob("*.h"))
        self.assertIn("place.h", names)
        for name in names:
            for compiler, language in zip(COMPILERS, (["c", "-std=c11"], ["c++", "-std=c++11"])):
                with self.subTest(header=name, language=language[0]):
                    run(compiler, "-x", *language, *STRICT, *self.flags("--cflags"),
                        "-fsyntax-only", "-", input=f"#include <place/{name}>\n", cwd=self.root)

    def test_every_header_says_what_it_is_for(self):
        for header in self.headers.glob("*.h"):
            with self.subTest(header=header.name):
                comment = re.match(r"/\*\n(.*?)\*/\n#pragma once\n", header.read_text(), re.S)
                self.assertIsNotNone(comment)
                self.assertGreater(len(comment.group(1).splitlines()), 10)
                self.assertIn('extern "C"', header.read_text())

    def test_exports_are_what_the_headers_declare(self):
        declared = set()
        for header in self.headers.glob("*.h"):
            code = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
            for function in re.findall(r"^BERTH_\w*API\b([^;]*);", code, re.M | re.S):
                declared.add(re.search(r"(\w+)\s*\(", function).group(1))
        table = run("nm", "-D", "--defined-only", self.library)
        exported = {line.split()[-1].split("@")[0] for line in table.splitlines()}
        self.assertEqual(exported, declared)
        for name in exported:
            self.assertTrue(name.startswith("berth_"), name)

    def test_the_shared_library_needs_libc_alone(self):
        dynamic = run("readelf", "-d", self.library)
        self.assertEqual(re.findall(r"SONAME.*\[(.*)\]", dynamic), ["libberth-place.so.0"])
        for needed in re.findall(r"NEEDED.*\[(.*)\]", dynamic):
            self.assertRegex(needed, r"^(libc|libm|ld-linux-[\w-]+)\.so\.")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
