/* `berth-sim bench` under the name of the other benchmarks (sim/bench.h). */
#include "sim/bench.h"

int main(int argc, char **argv)
{
    return bench_main(argc, argv);
}
