#include "sim/replay_chart.h"

#define WIDTH 760
#define LEFT 56
#define RIGHT 700
#define TOP 64
#define MIDDLE 304 /* foot of the shares */
#define LOW_TOP 344
#define BOTTOM 424

#define GREY "#808080"

typedef struct {
    const char *name, *colour;
    double (*of)(const ReplaySample *sample);
} Line;

static double of_gpu(const ReplaySample *sample)
{
    return sample->percent[REPLAY_GPU];
}

static double of_cpu(const ReplaySample *sample)
{
    return sample->percent[REPLAY_CPU];
}

static double of_memory(const ReplaySample *sample)
{
    return sample->percent[REPLAY_MEMORY];
}

static double of_fragments(const ReplaySample *sample)
{
    return sample->fragments;
}

static double of_failed(const ReplaySample *sample)
{
    return sample->failed;
}

static const Line shares[] = {{"devices taken", "#2a9d5c", of_gpu},
                              {"processors taken", "#3d7dd8", of_cpu},
                              {"memory taken", "#b07d1a", of_memory},
                              {"fragments of devices", "#d24a43", of_fragments}};
static const Line failures = {"tasks without a host", "#9a5fc0", of_failed};

/* As C would write it, in any locale. */
static void put(GString *svg, const char *before, double number)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    g_string_append_printf(svg, "%s%s", before, g_ascii_formatd(text, sizeof text, "%.1f", number));
}

static void draw_text(GString *svg, double x, double y, const char *anchor, const char *colour,
                      const char *text)
{
    g_autofree char *escaped = g_markup_escape_text(text, -1);

    put(svg, "<text x=\"", x);
    put(svg, "\" y=\"", y);
    g_string_append_printf(svg, "\" text-anchor=\"%s\" fill=\"%s\">%s</text>\n", anchor, colour,
                           escaped);
}

static void draw_rule(GString *svg, double y, double opacity)
{
    put(svg, "<line x1=\"", LEFT);
    put(svg, "\" x2=\"", RIGHT);
    put(svg, "\" y1=\"", y);
    put(svg, "\" y2=\"", y);
    put(svg, "\" stroke=\"" GREY "\" stroke-opacity=\"", opacity);
    g_string_append(svg, "\"/>\n");
}

static void draw_line(GString *svg, const ReplayResult *result, const Line *line, double most_x,
                      double most_y, double top, double bottom)
{
    g_string_append_printf(
        svg, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\" points=\"", line->colour);
    for (guint i = 0; i < result->samples->len; i++) {
        const ReplaySample *sample = &g_array_index(result->samples, ReplaySample, i);
        put(svg, i > 0 ? " " : "", LEFT + (RIGHT - LEFT) * sample->at / most_x);
        put(svg, ",", bottom - (bottom - top) * line->of(sample) / most_y);
    }
    g_string_append(svg, "\"/>\n");
}

static void draw_shares(GString *svg, const ReplayResult *result, double most_x)
{
    for (int share = 0; share <= 100; share += 25) {
        double y = MIDDLE - (MIDDLE - TOP) * share / 100.0;
        g_autofree char *text = g_strdup_printf("%d %%", share);
        draw_rule(svg, y, share > 0 ? 0.3 : 1);
        draw_text(svg, LEFT - 8, y + 4, "end", GREY, text);
    }
    for (guint i = 0; i < G_N_ELEMENTS(shares); i++) {
        draw_line(svg, result, &shares[i], most_x, 100, TOP, MIDDLE);
        draw_text(svg, LEFT + 164.0 * i, TOP - 14, "start", shares[i].colour, shares[i].name);
    }
}

static void draw_failures(GString *svg, const ReplayResult *result, double most_x)
{
    double most = MAX(result->last.failed, 1);
    g_autofree char *text = g_strdup_printf("%u", (unsigned)most);

    draw_rule(svg, BOTTOM, 1);
    draw_rule(svg, LOW_TOP, 0.3);
    draw_text(svg, LEFT - 8, BOTTOM + 4, "end", GREY, "0");
    draw_text(svg, LEFT - 8, LOW_TOP + 4, "end", GREY, text);
    draw_line(svg, result, &failures, most_x, most, LOW_TOP, BOTTOM);
    draw_text(svg, LEFT, LOW_TOP - 10, "start", failures.colour, failures.name);
}

static void draw_axis(GString *svg, double most_x, bool is_arrival)
{
    /* Seconds, hours or days, so that the numbers stay short. */
    double unit = is_arrival ? 1 : most_x >= 4 * 86400 ? 86400 : most_x >= 4 * 3600 ? 3600 : 1;

    for (int i = 0; i <= 4; i++) {
        char number[G_ASCII_DTOSTR_BUF_SIZE];
        g_ascii_formatd(number, sizeof number, "%.0f", most_x / unit * i / 4);
        draw_text(svg, LEFT + (RIGHT - LEFT) * i / 4.0, BOTTOM + 20, "middle", GREY, number);
    }
    draw_text(svg, (LEFT + RIGHT) / 2.0, BOTTOM + 40, "middle", GREY,
              is_arrival      ? "devices asked for, percent of all"
              : unit == 86400 ? "days"
              : unit == 3600  ? "hours"
                              : "seconds");
}

char *replay_chart(const ReplayResult *result, const char *title, bool is_arrival)
{
    GString *svg = g_string_new(NULL);
    double most_x = MAX(result->last.at, 1e-9);

    g_string_append_printf(svg,
                           "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                           "font-family=\"sans-serif\" font-size=\"13\">\n",
                           WIDTH, BOTTOM + 56);
    draw_text(svg, LEFT, 26, "start", GREY, title);
    draw_shares(svg, result, most_x);
    draw_failures(svg, result, most_x);
    draw_axis(svg, most_x, is_arrival);
    g_string_append(svg, "</svg>\n");
    return g_string_free(svg, FALSE);
}
