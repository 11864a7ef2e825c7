/* Files of fleets, with their checksums put right: what is loaded is sound and is saved as the same
 * bytes, or differs only by sections that may be skipped. */
#include "fuzz.h"

#include "place/tests/file-fixture.h"

/* Whether every section is one that the library knows, so that none is skipped. */
static bool is_all_known(const uint8_t *bytes)
{
    for (uint32_t i = 0; i < format_u32(bytes + 12); i++) {
        const uint8_t *entry = bytes + FORMAT_HEADER + (size_t)i * FORMAT_ENTRY;
        if (format_u32(entry) >= SECTION_END || (format_u32(entry + 4) & 0xffff) != 1) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree uint8_t *bytes = g_malloc(size + 1);
    BerthPlace *place = NULL;

    memcpy(bytes, data, size);
    file_seal(bytes, size);
    if (berth_place_load(bytes, size, &place, NULL) != BERTH_PLACE_OK) {
        g_assert_null(place);
        return 0;
    }
    berth_place_free(place);
    if (is_all_known(bytes)) {
        g_assert_true(file_is_refused_or_same(bytes, size));
    }
    return 0;
}
