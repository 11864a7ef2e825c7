#include "cli/ledger.h"

#include <string.h>

#include "base/units.h"
#include "schema/objects.h"

char *ledger_amount(const char *dimension, int64_t amount)
{
    static const struct {
        const char *name;
        BerthQuantity quantity;
    } quantities[] = {
        {"cpu", BERTH_QUANTITY_CPU},       {"memory", BERTH_QUANTITY_MEMORY},
        {"disk", BERTH_QUANTITY_DISK},     {"disk-bw", BERTH_QUANTITY_DISK_BW},
        {"net-bw", BERTH_QUANTITY_NET_BW},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(quantities); i++) {
        if (strcmp(dimension, quantities[i].name) == 0) {
            return berth_quantity_format(quantities[i].quantity, amount);
        }
    }
    return g_strdup_printf("%" G_GINT64_FORMAT, amount);
}

char *ledger_share(const GPtrArray *rows, const char *dimension)
{
    for (guint i = 0; i < rows->len; i++) {
        const LedgerRow *row = rows->pdata[i];
        if (strcmp(row->dimension, dimension) == 0) {
            g_autofree char *committed = ledger_amount(dimension, row->committed);
            g_autofree char *whole = ledger_amount(dimension, row->capacity - row->reserve);
            return g_strdup_printf("%s/%s", committed, whole);
        }
    }
    return g_strdup("");
}

void ledger_print(const Cli *cli, const GPtrArray *rows)
{
    static const char *const headings[] = {"RESOURCE",    ">CAPACITY",  ">RESERVE",
                                           ">GUARANTEED", ">COMMITTED", ">EFFECTIVE",
                                           ">USED",       ">FREE",      NULL};
    g_autoptr(Table) table = table_new(headings);
    for (guint i = 0; i < rows->len; i++) {
        const LedgerRow *row = rows->pdata[i];
        const int64_t amounts[] = {row->capacity,
                                   row->reserve,
                                   row->guaranteed,
                                   row->committed,
                                   row->effective,
                                   row->used,
                                   row->capacity - row->reserve - row->guaranteed};
        table_add(table, row->dimension);
        for (size_t k = 0; k < G_N_ELEMENTS(amounts); k++) {
            table_take(table, ledger_amount(row->dimension, amounts[k]));
        }
    }
    cli_print_table(cli, table);
}
