/* What the files of the cgroup module share: where the groups of a host and of a VM are. */
#pragma once

#include "linux/cgroup.h"

/* A hierarchy that holds groups of ours. With v2 only UNIFIED is used, for everything. */
typedef enum {
    TREE_CPU,
    TREE_CPUACCT, /* NULL where it is mounted together with cpu */
    TREE_MEMORY,
    TREE_UNIFIED, /* with v1: pressure and kill only, and only where it is mounted */
    N_TREES,
} Tree;

struct CgroupHost {
    int version;
    char *root;
    char *parent;
    char *name;
    char *base[N_TREES]; /* directory of the host's group; NULL: not used */
};

/* Directories of a VM; NULL where the tree is not used. With v2, cpu, cpuacct and memory are
 * borrowed names of the unified ones. */
struct CgroupVm {
    CgroupHost *host;
    char *id;
    char *group[N_TREES];
    char *vcpu[N_TREES];
    char *emulator[N_TREES];
};

/* The tree in which to find what `wanted` controls. */
Tree cgroup_tree(const CgroupHost *host, Tree wanted);
