#include "base/image_content.h"

#include <string.h>

#include <glib.h>

/* Of the kernel's boot protocol (Linux, Documentation/arch/x86/boot.rst). */
#define BOOT_SIGNATURE_AT 0x1fe
#define SETUP_MAGIC_AT 0x202

/* Of qcow2 (QEMU, docs/interop/qcow2.txt); numbers are big endian. */
#define QCOW2_BACKING_AT 8
#define QCOW2_SIZE_AT 24
#define QCOW2_ENCRYPTION_AT 32
#define QCOW2_HEADER_BYTES 72
#define QCOW2_INCOMPATIBLE_AT 72 /* from version 3 on */
#define QCOW2_CORRUPT (UINT64_C(1) << 1)
#define QCOW2_EXTERNAL_DATA (UINT64_C(1) << 2)

typedef struct {
    const char *name;
    size_t at, n;
    const char *bytes;
} Magic;

static bool has(const Magic *magic, const uint8_t *begin, size_t n)
{
    return n >= magic->at + magic->n && memcmp(begin + magic->at, magic->bytes, magic->n) == 0;
}

static const char *find(const Magic *magics, size_t count, const uint8_t *begin, size_t n)
{
    for (size_t i = 0; i < count; i++) {
        if (has(&magics[i], begin, n)) {
            return magics[i].name;
        }
    }
    return NULL;
}

static bool is_kernel(const uint8_t *begin, size_t n)
{
    static const Magic setup = {"bzImage", SETUP_MAGIC_AT, 4, "HdrS"};
    static const Magic elf = {"ELF", 0, 4, "\177ELF"};
    return (image_content_boots(begin, n) && has(&setup, begin, n)) || has(&elf, begin, n);
}

static bool is_initrd(const uint8_t *begin, size_t n)
{
    static const Magic archives[] = {
        {"cpio", 0, 6, "070701"},
        {"cpio", 0, 6, "070702"},
        {"gzip", 0, 2, "\x1f\x8b"},
        {"xz", 0, 6,
         "\xfd"
         "7zXZ\0"},
        {"zstd", 0, 4, "\x28\xb5\x2f\xfd"},
        {"bzip2", 0, 3, "BZh"},
        {"lz4", 0, 4, "\x02\x21\x4c\x18"},
        {"lzma", 0, 3, "\x5d\0\0"},
        {"lzop", 0, 4, "\x89LZO"},
    };
    return find(archives, G_N_ELEMENTS(archives), begin, n) != NULL;
}

const char *image_content_looks_like(const uint8_t *begin, size_t n)
{
    static const Magic disks[] = {
        {"qcow2", 0, 4, "QFI\xfb"},         {"vmdk", 0, 4, "KDMV"},
        {"vhdx", 0, 8, "vhdxfile"},         {"vpc", 0, 8, "conectix"},
        {"vdi", 64, 4, "\x7f\x10\xda\xbe"},
    };
    return find(disks, G_N_ELEMENTS(disks), begin, n);
}

bool image_content_boots(const uint8_t *begin, size_t n)
{
    return n >= BOOT_SIGNATURE_AT + 2 && begin[BOOT_SIGNATURE_AT] == 0x55 &&
           begin[BOOT_SIGNATURE_AT + 1] == 0xaa;
}

static uint64_t big_endian(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static ImageContent examine_qcow2(const uint8_t *begin, size_t n)
{
    static const char convert[] = "make it whole with 'qemu-img convert -O qcow2'";
    const char *looks = image_content_looks_like(begin, n);
    if (n < QCOW2_HEADER_BYTES || looks == NULL || strcmp(looks, "qcow2") != 0) {
        return (ImageContent){"the file does not begin as a qcow2 image",
                              "leave the format out for a raw image", 0};
    }
    uint64_t version = big_endian(begin + 4, 4), size = big_endian(begin + QCOW2_SIZE_AT, 8);
    uint64_t incompatible = version >= 3 && n >= QCOW2_INCOMPATIBLE_AT + 8
                                ? big_endian(begin + QCOW2_INCOMPATIBLE_AT, 8)
                                : 0;
    if (version < 2 || version > 3 || (version == 3 && n < QCOW2_INCOMPATIBLE_AT + 8)) {
        return (ImageContent){"neither of the versions 2 and 3 of qcow2", convert, 0};
    }
    if (big_endian(begin + QCOW2_BACKING_AT, 8) != 0) {
        return (ImageContent){"the image leans on a backing file", convert, 0};
    }
    if ((incompatible & QCOW2_EXTERNAL_DATA) != 0) {
        return (ImageContent){"the image keeps its data in another file", convert, 0};
    }
    if ((incompatible & QCOW2_CORRUPT) != 0) {
        return (ImageContent){"the image is marked corrupt", "mend it with 'qemu-img check -r all'",
                              0};
    }
    if (big_endian(begin + QCOW2_ENCRYPTION_AT, 4) != 0) {
        return (ImageContent){"the image is encrypted",
                              "write it in the clear with 'qemu-img convert'", 0};
    }
    if (size == 0 || size > INT64_MAX) {
        return (ImageContent){"a qcow2 image of no size", "make it anew with 'qemu-img convert'",
                              0};
    }
    return (ImageContent){.virtual_bytes = (int64_t)size};
}

ImageContent image_content_examine(ImageFileRole role, ImageFormat format, const uint8_t *begin,
                                   size_t n)
{
    if (role == IMAGE_FILE_ROLE_KERNEL && !is_kernel(begin, n)) {
        return (ImageContent){"not a kernel that QEMU boots: neither a bzImage nor ELF",
                              "give the vmlinuz of a Linux for x86-64", 0};
    }
    if (role == IMAGE_FILE_ROLE_INITRD && !is_initrd(begin, n)) {
        return (ImageContent){"not an initrd: neither a cpio archive nor compressed",
                              "give a cpio archive (newc), plain or compressed", 0};
    }
    if (role == IMAGE_FILE_ROLE_DISK && format == IMAGE_FORMAT_QCOW2) {
        return examine_qcow2(begin, n);
    }
    return (ImageContent){0};
}
