/* .vbp files: what is read is written and read again, and packs validly when it is small. */
#include "fuzz.h"

#include "sim/vbp.h"

static void check_packing(const Vbp *vbp, BerthPackMethod method)
{
    BerthPackOptions options = {
        .struct_size = sizeof options, .method = method, .seed = 1, .max_iterations = 200};
    BerthPackAnswer answer = {.struct_size = sizeof answer};
    g_autofree uint32_t *bins = g_new0(uint32_t, (gsize)vbp->n_items + 1);

    if (berth_pack(&vbp->problem, &options, bins, &answer) == BERTH_PLACE_OK) {
        g_assert_cmpstr(berth_pack_check(&vbp->problem, bins, answer.n_bins), ==, NULL);
        g_assert_cmpuint(answer.lower_bound, <=, answer.n_bins);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Vbp) vbp = vbp_parse("fuzz.vbp", (const char *)data, size, &error);

    if (vbp == NULL) {
        g_assert_nonnull(error);
        return 0;
    }
    g_autofree char *text = vbp_format(vbp);
    g_autoptr(Vbp) same = vbp_parse("again.vbp", text, strlen(text), &error);
    g_assert_no_error(error);
    g_autofree char *again = vbp_format(same);
    g_assert_cmpstr(again, ==, text);
    if (vbp->n_items <= 100) {
        check_packing(vbp, BERTH_PACK_FILL_DOT_DYNAMIC);
        check_packing(vbp, BERTH_PACK_L2_RATIO);
        check_packing(vbp, BERTH_PACK_IMPROVE);
    }
    return 0;
}
