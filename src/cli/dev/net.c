#include "cli/dev/lab.h"
#include "linux/net.h"

#include <stdio.h>
#include <string.h>

char *lab_namespace(int host)
{
    g_autofree char *name = g_strdup_printf(LAB_PREFIX "host-%d", host);
    return net_namespace_path(name);
}

char *lab_host_address(int host)
{
    return g_strdup_printf(LAB_NETWORK ".%d", LAB_FIRST_HOST + host);
}

static bool make_host(Net *net, int host, GError **error)
{
    g_autofree char *name = g_strdup_printf(LAB_PREFIX "host-%d", host);
    g_autofree char *path = lab_namespace(host);
    g_autofree char *veth = g_strdup_printf(LAB_PREFIX "%d", host);
    g_autofree char *ip = lab_host_address(host);
    g_autofree char *address = g_strconcat(ip, "/24", NULL);
    if (!net_ensure_namespace(name, error) || !net_ensure_veth(net, veth, "up0", path, error) ||
        !net_ensure_port(net, veth, LAB_BRIDGE, 0, error) ||
        !net_set_link(net, veth, 0, true, error)) {
        return false;
    }
    g_autoptr(Net) inside = net_open(path, error);
    return inside != NULL && net_ensure_address(inside, "up0", address, error) &&
           net_set_link(inside, "up0", 0, true, error) &&
           net_set_link(inside, "lo", 0, true, error);
}

bool lab_net_make(int hosts, GError **error)
{
    g_autoptr(Net) net = net_open(NULL, error);
    if (net == NULL || !net_ensure_bridge(net, LAB_BRIDGE, NULL, error) ||
        !net_ensure_address(net, LAB_BRIDGE, LAB_ADDRESS "/24", error) ||
        !net_set_link(net, LAB_BRIDGE, 0, true, error)) {
        return false;
    }
    for (int i = 1; i <= hosts; i++) {
        if (!make_host(net, i, error)) {
            return false;
        }
    }
    return true;
}

void lab_net_remove(void)
{
    g_autoptr(GPtrArray) namespaces = net_list_namespaces(LAB_PREFIX, NULL);
    for (guint i = 0; namespaces != NULL && i < namespaces->len; i++) {
        net_delete_namespace(namespaces->pdata[i], NULL);
    }
    g_autoptr(Net) net = net_open(NULL, NULL);
    g_autoptr(GPtrArray) links = net != NULL ? net_list(net, LAB_PREFIX, NULL) : NULL;
    for (guint i = 0; links != NULL && i < links->len; i++) {
        net_delete(net, links->pdata[i], NULL);
    }
    if (net != NULL) {
        net_delete(net, LAB_BRIDGE, NULL);
    }
}
