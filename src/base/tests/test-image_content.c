#include "base/image_content.h"

#include <glib.h>
#include <string.h>

static uint8_t head[IMAGE_CONTENT_BYTES];

static const uint8_t *zeroes(void)
{
    memset(head, 0, sizeof head);
    return head;
}

static uint8_t *qcow2(uint8_t version, uint8_t mib)
{
    zeroes();
    memcpy(head, "QFI\xfb\0\0\0", 7);
    head[7] = version;
    head[24 + 5] = (uint8_t)(mib << 4); /* of 8 bytes, big endian */
    return head;
}

static void assert_wrong(ImageFileRole role, ImageFormat format, size_t n, const char *what)
{
    ImageContent content = image_content_examine(role, format, head, n);
    g_assert_nonnull(content.what);
    g_assert_nonnull(strstr(content.what, what));
    g_assert_nonnull(content.remedy);
    g_assert_cmpint(content.virtual_bytes, ==, 0);
}

static void assert_qcow2(size_t n, const char *what)
{
    assert_wrong(IMAGE_FILE_ROLE_DISK, IMAGE_FORMAT_QCOW2, n, what);
}

static bool is_good(ImageFileRole role, const uint8_t *begin, size_t n)
{
    return image_content_examine(role, IMAGE_FORMAT_UNSET, begin, n).what == NULL;
}

static void test_kernels(void)
{
    zeroes();
    head[0x1fe] = 0x55;
    head[0x1ff] = 0xaa;
    assert_wrong(IMAGE_FILE_ROLE_KERNEL, IMAGE_FORMAT_UNSET, sizeof head, "neither a bzImage");
    memcpy(head + 0x202, "HdrS", 4);
    g_assert_true(is_good(IMAGE_FILE_ROLE_KERNEL, head, 0x206));
    assert_wrong(IMAGE_FILE_ROLE_KERNEL, IMAGE_FORMAT_UNSET, 0x205, "neither a bzImage");
    g_assert_true(is_good(IMAGE_FILE_ROLE_KERNEL, (const uint8_t *)"\177ELF", 4));
    g_assert_false(is_good(IMAGE_FILE_ROLE_KERNEL, (const uint8_t *)"\177EL", 3));
}

static void test_initrds(void)
{
    g_assert_true(is_good(IMAGE_FILE_ROLE_INITRD, (const uint8_t *)"0707010", 7));
    g_assert_true(is_good(IMAGE_FILE_ROLE_INITRD, (const uint8_t *)"\x1f\x8b\x08", 3));
    g_assert_true(is_good(IMAGE_FILE_ROLE_INITRD, (const uint8_t *)"\x28\xb5\x2f\xfd", 4));
    g_assert_false(is_good(IMAGE_FILE_ROLE_INITRD, (const uint8_t *)"070707", 6));
    g_assert_false(is_good(IMAGE_FILE_ROLE_INITRD, (const uint8_t *)"\177ELF", 4));
    g_assert_false(is_good(IMAGE_FILE_ROLE_INITRD, head, 0));
}

static void test_disks_that_lean_on_others(void)
{
    qcow2(3, 1);
    ImageContent whole =
        image_content_examine(IMAGE_FILE_ROLE_DISK, IMAGE_FORMAT_QCOW2, head, sizeof head);
    g_assert_null(whole.what);
    g_assert_cmpint(whole.virtual_bytes, ==, 1 << 20);
    head[72 + 7] = 1; /* dirty, which is harmless */
    g_assert_null(
        image_content_examine(IMAGE_FILE_ROLE_DISK, IMAGE_FORMAT_QCOW2, head, sizeof head).what);
    head[72 + 7] = 4;
    assert_qcow2(sizeof head, "another file");
    head[72 + 7] = 2;
    assert_qcow2(sizeof head, "corrupt");
    qcow2(2, 1)[15] = 104;
    assert_qcow2(sizeof head, "backing file");
    qcow2(2, 1)[35] = 1;
    assert_qcow2(sizeof head, "encrypted");
    qcow2(3, 0);
    assert_qcow2(sizeof head, "no size");
    qcow2(4, 1);
    assert_qcow2(sizeof head, "versions");
    qcow2(3, 1);
    assert_qcow2(79, "versions"); /* the features are cut off */
    assert_qcow2(71, "does not begin");
    zeroes();
    assert_qcow2(sizeof head, "does not begin");
}

static void test_what_a_raw_disk_looks_like(void)
{
    g_assert_true(is_good(IMAGE_FILE_ROLE_DISK, zeroes(), 1));
    g_assert_null(image_content_looks_like(head, sizeof head));
    g_assert_false(image_content_boots(head, sizeof head));
    head[510] = 0x55;
    head[511] = 0xaa;
    g_assert_true(image_content_boots(head, 512));
    g_assert_false(image_content_boots(head, 511));
    g_assert_cmpstr(image_content_looks_like(qcow2(3, 1), 4), ==, "qcow2");
    g_assert_cmpstr(image_content_looks_like((const uint8_t *)"KDMV", 4), ==, "vmdk");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/image-content/kernels", test_kernels);
    g_test_add_func("/image-content/initrds", test_initrds);
    g_test_add_func("/image-content/qcow2", test_disks_that_lean_on_others);
    g_test_add_func("/image-content/raw", test_what_a_raw_disk_looks_like);
    return g_test_run();
}
