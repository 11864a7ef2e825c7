#include "bench/simulated-hosts.h"

#include <glib.h>

static const int64_t shapes[10][5] = {
    {32, 64, 2000, 2000, 10000},      {32, 128, 2000, 2000, 10000},
    {48, 192, 4000, 3000, 25000},     {64, 256, 4000, 4000, 25000},
    {64, 512, 8000, 4000, 25000},     {96, 384, 8000, 6000, 40000},
    {96, 768, 8000, 6000, 50000},     {128, 512, 8000, 8000, 50000},
    {192, 768, 16000, 12000, 100000}, {256, 2048, 32000, 16000, 100000},
};

char *simulated_host_id(uint32_t number)
{
    return g_strdup_printf("0%025u", number);
}

HostSpec *simulated_host_spec(uint32_t number)
{
    HostSpec *spec = host_spec_new();

    spec->name = g_strdup_printf("sim-%u", number);
    g_autofree char *rack = g_strdup_printf("r%u", number / SIMULATED_RACK);
    spec->labels = string_map_new();
    string_map_set(spec->labels, "rack", rack);
    return spec;
}

HostFacts *simulated_host_facts(uint32_t number)
{
    const int64_t *shape = shapes[(number / SIMULATED_RACK * 2654435761U >> 16) % 10];
    HostFacts *facts = host_facts_new();

    facts->address = g_strdup("192.0.2.1");
    facts->machine = g_strdup("pc-q35-7.2");
    facts->overhead = 64;
    facts->capacity = resources_new();
    facts->capacity->cpu = shape[0] * 1000;
    facts->capacity->memory = shape[1] * 1024;
    facts->capacity->disk = shape[2];
    facts->capacity->disk_bw = shape[3];
    facts->capacity->net_bw = shape[4];
    return facts;
}
