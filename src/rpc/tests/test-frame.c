#include "rpc/frame.h"

#include <string.h>

#include "base/error.h"

static void assert_frame(RpcFrames *frames, const char *expected, size_t expected_size)
{
    const char *data;
    size_t size;
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(rpc_frames_next(frames, &data, &size, &error), ==, RPC_FRAME_WHOLE);
    g_assert_no_error(error);
    g_assert_cmpmem(data, size, expected, expected_size);
}

static void assert_more(RpcFrames *frames)
{
    const char *data = "untouched";
    size_t size = 7;
    g_assert_cmpint(rpc_frames_next(frames, &data, &size, NULL), ==, RPC_FRAME_MORE);
    g_assert_cmpstr(data, ==, "untouched");
    g_assert_cmpuint(size, ==, 7);
}

static void assert_too_large(RpcFrames *frames, const char *length, const char *limit)
{
    const char *data;
    size_t size;
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(rpc_frames_next(frames, &data, &size, &error), ==, RPC_FRAME_BAD);
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_TOO_LARGE);
    g_assert_nonnull(strstr(error->message, length));
    g_assert_nonnull(strstr(error->message, limit));
    g_assert_nonnull(strstr(berth_error_value(error), length));
    g_assert_nonnull(strstr(berth_error_remedy(error), limit));
}

static void test_round_trip_in_pieces_of_any_size(void)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();
    const char *texts[] = {"first", "", "the third is longer than the others", "x"};
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_assert_true(rpc_frame_append(stream, texts[i], strlen(texts[i]), 100, NULL));
    }
    for (guint piece = 1; piece <= stream->len; piece++) {
        g_autoptr(RpcFrames) frames = rpc_frames_new(100);
        guint seen = 0;
        for (guint at = 0; at < stream->len; at += piece) {
            rpc_frames_push(frames, stream->data + at, MIN(piece, stream->len - at));
            const char *data;
            size_t size;
            while (rpc_frames_next(frames, &data, &size, NULL) == RPC_FRAME_WHOLE) {
                g_assert_cmpuint(seen, <, G_N_ELEMENTS(texts));
                g_assert_cmpmem(data, size, texts[seen], strlen(texts[seen]));
                seen++;
            }
        }
        g_assert_cmpuint(seen, ==, G_N_ELEMENTS(texts));
        g_assert_cmpuint(rpc_frames_pending(frames), ==, 0);
    }
}

static void test_length_is_big_endian(void)
{
    g_autoptr(GByteArray) stream = g_byte_array_new();
    g_autofree char *payload = g_strnfill(0x0102, 'p');
    g_assert_true(rpc_frame_append(stream, payload, 0x0102, 0, NULL));
    g_assert_cmpmem(stream->data, 4, "\0\0\1\2", 4);
}

static void test_cut_frame_is_pending(void)
{
    g_autoptr(RpcFrames) frames = rpc_frames_new(0);
    rpc_frames_push(frames, "\0\0", 2);
    assert_more(frames);
    rpc_frames_push(frames, "\0\5abcd", 6);
    assert_more(frames);
    g_assert_cmpuint(rpc_frames_pending(frames), ==, 8);
    rpc_frames_push(frames, "e", 1);
    assert_frame(frames, "abcde", 5);
    assert_more(frames);
}

static void test_highest_length_is_refused_at_once(void)
{
    g_autoptr(RpcFrames) frames = rpc_frames_new(1000);
    rpc_frames_push(frames, "\xff\xff\xff\xff", 4);
    assert_too_large(frames, "4294967295", "1000");
    g_assert_cmpuint(rpc_frames_pending(frames), ==, 0);
}

static void test_limit_is_inclusive(void)
{
    g_autoptr(RpcFrames) frames = rpc_frames_new(5);
    rpc_frames_push(frames, "\0\0\0\5abcde\0\0\0\6abcdef", 19);
    assert_frame(frames, "abcde", 5);
    assert_too_large(frames, "6", "5");
}

static void test_refusal_is_for_good_and_holds_nothing(void)
{
    g_autoptr(RpcFrames) frames = rpc_frames_new(5);
    rpc_frames_push(frames, "\0\0\1\0", 4);
    assert_too_large(frames, "256", "5");
    for (int i = 0; i < 1000; i++) {
        rpc_frames_push(frames, "\0\0\0\1a", 5);
    }
    g_assert_cmpuint(rpc_frames_pending(frames), ==, 0);
    assert_too_large(frames, "256", "5");
}

static void test_writer_keeps_to_the_limit(void)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    g_assert_true(rpc_frame_append(out, "abc", 3, 3, NULL));
    g_assert_false(rpc_frame_append(out, "abcd", 4, 3, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_TOO_LARGE);
    g_assert_cmpuint(out->len, ==, 7);
    guint begin = rpc_frame_begin(out);
    g_byte_array_append(out, (const guint8 *)"abcd", 4);
    g_assert_false(rpc_frame_end(out, begin, 3, NULL));
    g_assert_cmpuint(out->len, ==, 7);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rpc/frame/round-trip-in-pieces-of-any-size",
                    test_round_trip_in_pieces_of_any_size);
    g_test_add_func("/rpc/frame/length-is-big-endian", test_length_is_big_endian);
    g_test_add_func("/rpc/frame/cut-frame-is-pending", test_cut_frame_is_pending);
    g_test_add_func("/rpc/frame/highest-length-is-refused-at-once",
                    test_highest_length_is_refused_at_once);
    g_test_add_func("/rpc/frame/limit-is-inclusive", test_limit_is_inclusive);
    g_test_add_func("/rpc/frame/refusal-is-for-good-and-holds-nothing",
                    test_refusal_is_for_good_and_holds_nothing);
    g_test_add_func("/rpc/frame/writer-keeps-to-the-limit", test_writer_keeps_to_the_limit);
    return g_test_run();
}
