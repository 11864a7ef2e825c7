#include "sim/reassign_model.h"

#include <string.h>

#include "base/error.h"

/* One resource, two machines, two services (the second needs the first), two processes. */
#define RESOURCES "1\n0 10\n"
#define MACHINES "2\n0 0 20 10 0 1\n0 1 20 10 1 0\n"
#define SERVICES "2\n1 0\n0 1 0\n"
#define PROCESSES "2\n0 5 1\n1 6 2\n"
#define BALANCES "1\n0 0 2 3\n"
#define WEIGHTS "1 10 100\n"

static const char sound[] = RESOURCES MACHINES SERVICES PROCESSES BALANCES WEIGHTS;

static ReassignModel *parse(const char *text, GError **error)
{
    return reassign_model_parse("model.txt", text, strlen(text), error);
}

static void test_reads_a_model(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ReassignModel) owner = parse(sound, &error);
    g_assert_no_error(error);
    const BerthReassignModel *model = &owner->model;

    g_assert_cmpuint(model->n_resources, ==, 1);
    g_assert_cmpint(model->resource_weight[0], ==, 10);
    g_assert_cmpuint(model->n_machines, ==, 2);
    g_assert_cmpuint(model->neighbourhood[1], ==, 0);
    g_assert_cmpuint(model->location[1], ==, 1);
    g_assert_cmpint(model->capacity[1], ==, 20);
    g_assert_cmpint(model->safety[1], ==, 10);
    g_assert_cmpuint(model->route_cost[2], ==, 1);
    g_assert_cmpuint(model->n_services, ==, 2);
    g_assert_cmpuint(model->spread_min[0], ==, 1);
    g_assert_cmpuint(model->n_dependencies, ==, 1);
    g_assert_cmpuint(model->dependencies[0].service, ==, 1);
    g_assert_cmpuint(model->dependencies[0].needs, ==, 0);
    g_assert_cmpuint(model->n_processes, ==, 2);
    g_assert_cmpuint(model->service[1], ==, 1);
    g_assert_cmpint(model->requirement[1], ==, 6);
    g_assert_cmpint(model->process_cost[1], ==, 2);
    g_assert_cmpuint(model->n_balances, ==, 1);
    g_assert_cmpint(model->balances[0].target, ==, 2);
    g_assert_cmpint(model->balances[0].weight, ==, 3);
    g_assert_cmpint(model->machine_move_weight, ==, 100);
}

static void test_refuses_models(void)
{
    static const struct {
        const char *text;
        const char *where;
        const char *field;
        const char *value;
    } cases[] = {
        {"", "line 1, column 1, number 1 of", "resources.count", NULL},
        {"zero", "line 1, column 1, number 1 of", "resources.count", "zero"},
        {"-1", "line 1, column 1, number 1 of", "resources.count", "-1"},
        {"+1", "line 1, column 1, number 1 of", "resources.count", "+1"},
        {"1.5", "line 1, column 1, number 1 of", "resources.count", "1.5"},
        {"0x1", "line 1, column 1, number 1 of", "resources.count", "0x1"},
        {"0 1", "line 1, column 1, number 1 of", "resources.count", "0"},
        {"65", "line 1, column 1, number 1 of", "resources.count", "65"},
        {"\n\n4 0 1", "line 3, column 1, number 1 of", "resources.count", "4"},
        {"99999999999999999999", "line 1, column 1, number 1 of", "resources.count", NULL},
        {"1\n2 10\n", "line 2, column 1, number 2 of", "resources[0].transient", "2"},
        {"1\n0 -5\n", "line 2, column 3, number 3 of", "resources[0].weight", "-5"},
        {"1\n0 8796093022208\n", "line 2, column 3, number 3 of", "resources[0].weight",
         "8796093022208"},
        {RESOURCES "0\n", "line 3, column 1, number 4 of", "machines.count", "0"},
        {RESOURCES "16385\n", "line 3, column 1, number 4 of", "machines.count", "16385"},
        {RESOURCES "16384\n0 0 1", "line 3, column 1, number 4 of", "machines.count", "16384"},
        {RESOURCES "4\n0 0 20 10 0 1 0 0 20 10 0 1\n", "line 3, column 1, number 4 of",
         "machines.count", "4"},
        {RESOURCES "2\n0 4294967296 20 10 0 1 0 0 20 10 0 1\n", "line 4, column 3, number 6 of",
         "machines[0].location", NULL},
        {RESOURCES "2\n0 0 20 10 0 1\n0 1 x 10 1 0\n", "line 5, column 5, number 13 of",
         "machines[1].capacity[0]", "x"},
        {RESOURCES "2\n0 0 20 10 0 1\n0 1 20 10 1 -\n", "line 5, column 13, number 16 of",
         "machines[1].move_cost[1]", "-"},
        {RESOURCES MACHINES, "line 6, column 1, number 17 of", "services.count", NULL},
        {RESOURCES MACHINES "1000000\n1 0\n", "line 6, column 1, number 17 of", "services.count",
         "1000000"},
        {RESOURCES MACHINES "2\n1 0\n0 9\n1 0 0\n", "line 8, column 3, number 21 of",
         "services[1].needs", "9"},
        {RESOURCES MACHINES "2\n1 0\n0 1 2\n" PROCESSES, "line 8, column 5, number 22 of",
         "services[1].needs[0]", "2"},
        {RESOURCES MACHINES SERVICES "2\n0 5 1\n2 6 2\n" BALANCES,
         "line 11, column 1, number 27 of", "processes[1].service", "2"},
        {RESOURCES MACHINES "0\n1\n0 5 1\n" BALANCES, "line 8, column 1, number 19 of",
         "processes[0].service", NULL},
        {RESOURCES MACHINES SERVICES PROCESSES "1\n0 1 2 3\n" WEIGHTS,
         "line 13, column 3, number 32 of", "balances[0].other", "1"},
        {RESOURCES MACHINES SERVICES PROCESSES "65\n", "line 12, column 1, number 30 of",
         "balances.count", "65"},
        {RESOURCES MACHINES SERVICES PROCESSES BALANCES "1 10\n", "line 15, column 1, number 37 of",
         "weights.machine_move", NULL},
        {RESOURCES MACHINES SERVICES PROCESSES BALANCES "1 10 100\n7\n",
         "line 15, column 1, number 38 of", "end", NULL},
        {"1\n0\t10\r\n2 0 0 20 ten 0 1 0 1 20 10 1 0", "line 3, column 10, number 8 of",
         "machines[0].safety[0]", NULL},
        {"\xef\xbb\xbf"
         "1 0 x",
         "line 1, column 5, number 3 of", "resources[0].weight", "x"},
        {"1,0,10", "line 1, column 1, number 1 of", "resources.count", "1,0,10"},
        {"1\n0 18446744073709551616\n", "line 2, column 3, number 3 of", "resources[0].weight",
         "18446744073709551616"},
        {"1\n0 1\x01\n", "line 2, column 3, number 3 of", "resources[0].weight", NULL},
        {RESOURCES MACHINES SERVICES "3\n0 5 1\n1 6 2\n" BALANCES WEIGHTS,
         "line 13, column 5, number 33 of", "balances.count", "2"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(ReassignModel) model = parse(cases[i].text, &error);

        g_test_message("case %zu: %s", i, error != NULL ? error->message : "taken");
        g_assert_null(model);
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
        g_assert_true(g_str_has_prefix(error->message, "model.txt: line "));
        g_assert_nonnull(strstr(error->message, cases[i].where));
        g_assert_cmpstr(berth_error_field(error), ==, cases[i].field);
        if (cases[i].value != NULL) {
            g_assert_cmpstr(berth_error_value(error), ==, cases[i].value);
        }
        g_assert_nonnull(berth_error_remedy(error));
    }
}

static void test_a_null_byte_is_no_end(void)
{
    g_autoptr(GError) error = NULL;
    static const char text[] = "1\0 2";

    g_assert_null(reassign_model_parse("model.txt", text, sizeof text - 1, &error));
    g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    g_assert_cmpstr(error->message, ==,
                    "model.txt: line 1, column 1, number 1 of the file: this is not text");
}

static void test_what_editors_do_is_of_no_account(void)
{
    g_auto(GStrv) lines = g_strsplit(sound, "\n", -1);
    g_autofree char *joined = g_strjoinv("\r\n", lines);
    g_autofree char *text = g_strconcat("\xef\xbb\xbf", joined, "\t\r\n", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(ReassignModel) owner = parse(text, &error);

    g_assert_no_error(error);
    g_assert_cmpint(owner->model.machine_move_weight, ==, 100);
}

static void test_a_line_of_a_million_digits_is_refused(void)
{
    g_autofree char *digits = g_strnfill(1 << 20, '7');
    g_autofree char *text = g_strconcat("1\n0 ", digits, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_null(parse(text, &error));
    g_assert_cmpstr(error->message, ==,
                    "model.txt: line 2, column 3, number 3 of the file: "
                    "the number is out of its range");
    g_assert_cmpuint(strlen(berth_error_value(error)), <, 200);
}

static void test_every_beginning_is_refused(void)
{
    /* The last number, 100, cannot be told from its beginnings 10 and 1. */
    for (size_t length = 0; length < strlen(sound) - 4; length++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *copy = g_memdup2(sound, length);

        g_assert_null(reassign_model_parse("model.txt", length > 0 ? copy : "", length, &error));
        g_assert_error(error, BERTH_ERROR, BERTH_ERROR_INVALID);
    }
}

static void test_assignment(void)
{
    static const struct {
        const char *text;
        const char *where; /* NULL: sound */
    } cases[] = {
        {"0 1\n", NULL},
        {"0 1", NULL},
        {"\t0\r\n1 ", NULL},
        {"\xef\xbb\xbf"
         "0 1",
         NULL},
        {"", "now.txt: line 1, column 1, number 1 of the file: the text ends too early"},
        {"0 -1", "now.txt: line 1, column 3, number 2 of the file: the number is out of its range"},
        {"0 18446744073709551616",
         "now.txt: line 1, column 3, number 2 of the file: the number is out of its range"},
        {"0 1;", "now.txt: line 1, column 3, number 2 of the file: this is not a whole number"},
        {"0", "now.txt: line 1, column 2, number 2 of the file: the text ends too early"},
        {"0 2", "now.txt: line 1, column 3, number 2 of the file: the number is out of its range"},
        {"0 one", "now.txt: line 1, column 3, number 2 of the file: this is not a whole number"},
        {"0 1\n0", "now.txt: line 2, column 1, number 3 of the file: more follows"},
    };
    g_autoptr(ReassignModel) model = parse(sound, NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree uint32_t *assignment = reassign_assignment_parse(model, "now.txt", cases[i].text,
                                                                    strlen(cases[i].text), &error);

        g_assert_true((assignment != NULL) == (cases[i].where == NULL));
        if (assignment != NULL) {
            g_autofree char *text = reassign_assignment_dump(assignment, 2);
            g_assert_cmpstr(text, ==, "0 1\n");
        } else {
            g_assert_nonnull(strstr(error->message, cases[i].where));
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sim/reassign-model/reads-a-model", test_reads_a_model);
    g_test_add_func("/sim/reassign-model/refuses-models", test_refuses_models);
    g_test_add_func("/sim/reassign-model/a-null-byte-is-no-end", test_a_null_byte_is_no_end);
    g_test_add_func("/sim/reassign-model/what-editors-do-is-of-no-account",
                    test_what_editors_do_is_of_no_account);
    g_test_add_func("/sim/reassign-model/a-line-of-a-million-digits-is-refused",
                    test_a_line_of_a_million_digits_is_refused);
    g_test_add_func("/sim/reassign-model/every-beginning-is-refused",
                    test_every_beginning_is_refused);
    g_test_add_func("/sim/reassign-model/assignment", test_assignment);
    return g_test_run();
}
