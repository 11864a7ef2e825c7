/*
 * Credits: what tenants pay for what is allocated to their VMs. Private to src/cluster.
 *
 * The rate card (core->rates) says what one unit of a dimension costs an hour, in micro-credits. A VM
 * is charged for what it wants, from its placement to its removal, on or off, by the millisecond.
 * The arithmetic is exact: what a millisecond costs is a whole number of 1/460,800,000,000 of a
 * micro-credit (an hour in ms × the smallest number that millicores and MiB both divide), and what
 * is less than a micro-credit is carried by the account. So the sum of all charges is that of the
 * whole time, cut off once, however often and in whatever order it was charged.
 *
 * An account is charged when a tick is due, when the rate card or the tenant changes, and, for the
 * app at hand, before each change of its usage; the charge, its hour's line and the account join
 * the transaction of that change. The model therefore needs no log: usage is a fold over durable
 * placements, and it has been the same since the `until-ms` of the app's last line.
 *
 * Time is an argument (core->now_ms); one that goes back charges nothing until it has caught up.
 */
#pragma once

#include "cluster/model.h"

/* Is anything charged to it now? */
bool account_is_charged(const ClusterCore *core, const ClusterTenant *tenant);

/* Charges what the meter used until now; to be called before its usage changes. */
void account_charge_meter(ClusterCore *core, ClusterTenant *tenant, Meter *meter);
/* Charges all meters and ends what the credits no longer pay. Seals large transactions, so nothing
 * half done may be in the open one. */
void account_charge_all(ClusterCore *core, ClusterTenant *tenant);
/* From now on, whatever went before. */
void account_begin(ClusterCore *core, ClusterTenant *tenant);

/* What an hour of it costs, micro-credits, rounded up. */
int64_t account_hourly(const ClusterCore *core, const Vector *usage);
/* The balance less what is used and not charged yet. */
int64_t account_balance(const ClusterCore *core, const ClusterTenant *tenant);

/* Do the credits last for an hour of what it has and `more`? NO_CAPACITY names balance and cost. */
bool account_affords(const ClusterCore *core, const ClusterTenant *tenant, const Vector *more,
                     GError **error);
/* Were its VMs powered off because the credits have ended? CONFLICT. */
bool account_may_run(const ClusterTenant *tenant, GError **error);

/* Adds (below zero: takes off) credits. */
Credit *account_credit(ClusterCore *core, ClusterTenant *tenant, int64_t amount, const char *note,
                       const char *by);

/* All accounts, if it is time. */
void accounts_tick(ClusterCore *core);
/* Something that may be charged has changed: look again at once. */
void accounts_due(ClusterCore *core);

/* From the store. */
void account_load_charge(ClusterCore *core, const char *tenant, Charge *charge); /* takes it */
void accounts_load_finish(ClusterCore *core);
/* Out of the store, before a tenant goes. */
void account_remove(ClusterCore *core, ClusterTenant *tenant);
