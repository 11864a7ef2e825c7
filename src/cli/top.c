#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/units.h"
#include "cli/general.h"
#include "cli/ledger.h"
#include "schema/objects.h"

#define INTERVAL_MS 2000
#define INTERVAL_MIN_MS 100
#define SCREEN_BYTES (1 << 18)
#define CLEAR "\033[H\033[2J"

static char *used_of(const LedgerRow *row)
{
    g_autofree char *used = ledger_amount(row->dimension, row->used);
    int64_t capacity = MAX(row->capacity, 1);
    return g_strdup_printf("%s (%" G_GINT64_FORMAT " %%)", used, row->used * 100 / capacity);
}

static void print_hosts(const Cli *cli, const Top *top)
{
    static const char *const headings[] = {"HOST",       "STATE",       "RESOURCE", ">CAPACITY",
                                           ">COMMITTED", ">GUARANTEED", ">USED",    NULL};
    g_autoptr(Table) table = table_new(headings);
    for (guint i = 0; i < top->hosts->len; i++) {
        const TopHost *host = top->hosts->pdata[i];
        for (guint k = 0; k < host->ledger->len; k++) {
            const LedgerRow *row = host->ledger->pdata[k];
            table_add(table, k == 0 ? host->name : " ");
            table_add(table, k == 0 ? host_state_to_string(host->state) : " ");
            table_add(table, row->dimension);
            table_take(table, ledger_amount(row->dimension, row->capacity));
            table_take(table, ledger_amount(row->dimension, row->committed));
            table_take(table, ledger_amount(row->dimension, row->guaranteed));
            table_take(table, used_of(row));
        }
    }
    cli_print_table(cli, table);
}

static char *rate(int64_t amount, const char *unit)
{
    return g_strdup_printf("%" G_GINT64_FORMAT " %s", amount, unit);
}

static void add_measure(Table *table, const VmMeasure *used)
{
    if (used == NULL) {
        for (int i = 0; i < 7; i++) {
            table_add(table, NULL);
        }
        return;
    }
    table_take(table, berth_quantity_format(BERTH_QUANTITY_CPU, used->cpu));
    table_take(table, g_strdup_printf("%.1f %%", (double)used->throttled / 10));
    table_take(table, berth_quantity_format(BERTH_QUANTITY_MEMORY, used->memory));
    table_take(table, rate(used->rx, "kbit/s"));
    table_take(table, rate(used->tx, "kbit/s"));
    table_take(table, rate(used->read, "kB/s"));
    table_take(table, rate(used->write, "kB/s"));
}

static int by_cpu(const void *a, const void *b)
{
    const TopVm *x = *(TopVm *const *)a, *y = *(TopVm *const *)b;
    int64_t p = x->used != NULL ? x->used->cpu : -1, q = y->used != NULL ? y->used->cpu : -1;
    return p != q ? (p < q) - (p > q) : g_strcmp0(x->name, y->name);
}

static void print_vms(const Cli *cli, const Top *top)
{
    static const char *const headings[] = {"VM",    "HOST",       "POWER",   ">CPU OF",
                                           ">USED", ">THROTTLED", ">MEMORY", ">RX",
                                           ">TX",   ">READ",      ">WRITE",  NULL};
    g_ptr_array_sort(top->vms, by_cpu);
    g_autoptr(Table) table = table_new(headings);
    for (guint i = 0; i < top->vms->len; i++) {
        const TopVm *vm = top->vms->pdata[i];
        table_add(table, vm->name);
        table_add(table, vm->host);
        table_add(table, power_is_to_string(vm->power));
        table_take(table, vm->resources != NULL
                              ? berth_quantity_format(BERTH_QUANTITY_CPU, vm->resources->cpu)
                              : NULL);
        add_measure(table, vm->used);
    }
    cli_print_table(cli, table);
}

static bool print_top(Cli *cli, const json_t *json, GError **error)
{
    if (cli->format != CLI_TABLE) {
        cli_print_json(cli, json);
        return true;
    }
    g_autoptr(Top) top = top_decode(json, CODEC_TOLERANT, error);
    if (top == NULL) {
        return false;
    }
    if (top->hosts->len > 0) { /* which tenants are not shown */
        print_hosts(cli, top);
        fputc('\n', stdout);
    }
    print_vms(cli, top);
    return true;
}

/* A manager that starts again is waited for. */
static bool note_absence(Cli *cli, GError *problem, GError **error)
{
    if (!api_error_is_absence(problem)) {
        g_propagate_error(error, problem);
        return false;
    }
    cli_say(cli, "%s; trying again", problem->message);
    g_error_free(problem);
    return true;
}

static bool look_again_and_again(Cli *cli, int64_t interval_ms, GError **error)
{
    ApiCall call = {.operation = API_OP_GET_TOP};
    setvbuf(stdout, NULL, _IOFBF, SCREEN_BYTES);
    for (;;) {
        GError *problem = NULL;
        json_auto_t *top = cli_call(cli, &call, &problem);
        if (top != NULL) {
            fputs(CLEAR, stdout);
        }
        if (top == NULL ? !note_absence(cli, problem, error) : !print_top(cli, top, error)) {
            return false;
        }
        if (fflush(stdout) != 0) {
            return true; /* whoever looked has gone */
        }
        g_usleep((gulong)MAX(interval_ms, INTERVAL_MIN_MS) * 1000);
    }
}

bool general_top(Cli *cli, GError **error)
{
    const char *interval = cli_args_get(cli->args, "interval");
    int64_t interval_ms = INTERVAL_MS;
    if (interval != NULL && !berth_quantity_parse(BERTH_QUANTITY_DURATION, "--interval", interval,
                                                  &interval_ms, error)) {
        return false;
    }
    if (cli->format == CLI_TABLE && isatty(STDOUT_FILENO) && !cli_args_has(cli->args, "once")) {
        return look_again_and_again(cli, interval_ms, error);
    }
    json_auto_t *top = cli_call(cli, &(ApiCall){.operation = API_OP_GET_TOP}, error);
    return top != NULL && print_top(cli, top, error);
}
