#include "bench/simulated-hosts.h"

#include "sim/bench_fleet.h"

char *simulated_host_id(uint32_t number)
{
    return g_strdup_printf("0%025u", number);
}

HostSpec *simulated_host_spec(uint32_t number)
{
    HostSpec *spec = host_spec_new();
    g_autofree char *rack = g_strdup_printf("r%u", number / BENCH_RACK);

    spec->name = g_strdup_printf("sim-%u", number);
    spec->labels = string_map_new();
    string_map_set(spec->labels, "rack", rack);
    return spec;
}

HostFacts *simulated_host_facts(uint32_t number)
{
    HostFacts *facts = host_facts_new();
    int64_t capacity[BENCH_DIMS];

    bench_host_capacity(number, capacity);
    facts->address = g_strdup("192.0.2.1");
    facts->machine = g_strdup("pc-q35-7.2");
    facts->overhead = 64;
    facts->capacity = resources_new();
    facts->capacity->cpu = capacity[0];
    facts->capacity->memory = capacity[1];
    facts->capacity->disk = capacity[2];
    facts->capacity->disk_bw = capacity[3];
    facts->capacity->net_bw = capacity[4];
    return facts;
}
