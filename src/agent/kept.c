/* PERSIST: what must survive the agent. CLEAN: the end of a VM's disks and of all but its
 * tombstone. FORGET and DROP: the end of old tombstones. */
#include <errno.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/paths.h"
#include "base/error.h"

typedef struct {
    char *path;
    char *disks;
    json_t *json;
} Keep;

static void keep_free(gpointer data)
{
    Keep *keep = data;
    g_free(keep->path);
    g_free(keep->disks);
    json_decref(keep->json);
    g_free(keep);
}

static bool write_kept(gpointer data, GError **error)
{
    const Keep *keep = data;
    return json_file_write(keep->path, keep->json, error);
}

static bool clean(gpointer data, GError **error)
{
    const Keep *keep = data;
    return directory_remove(keep->disks, error) && json_file_write(keep->path, keep->json, error);
}

static Keep *keep_new(const Effect *effect, const KeptVm *kept)
{
    Keep *keep = g_new0(Keep, 1);
    keep->path = path_kept(effect->agent->state, effect->vm);
    keep->disks = path_disks(effect->agent->state, effect->vm);
    keep->json = kept_vm_encode(kept);
    return keep;
}

typedef struct {
    Effect *effect;
    Keep *keep;
} KeepJob;

static bool run_job(gpointer data, GError **error)
{
    KeepJob *job = data;
    return job->effect->kind == HOST_EFFECT_CLEAN ? clean(job->keep, error)
                                                  : write_kept(job->keep, error);
}

static void job_done(const GError *error, gpointer data)
{
    Effect *effect = ((KeepJob *)data)->effect;
    if (!effect_ends_with(effect, error)) {
        effect_end(effect, NULL);
    }
}

static void job_free(gpointer data)
{
    KeepJob *job = data;
    keep_free(job->keep);
    g_free(job);
}

static void run(Effect *effect, const KeptVm *kept)
{
    KeepJob *job = g_new0(KeepJob, 1);
    job->effect = effect;
    job->keep = keep_new(effect, kept);
    work_run(effect->agent->files, run_job, job_done, job, job_free);
}

void effect_persist(Effect *effect)
{
    KeptVm kept = {.id = effect->vm,
                   .tombstone = effect->tombstone,
                   .assignment = effect->assignment,
                   .record = effect->record};
    run(effect, &kept);
}

void effect_clean(Effect *effect)
{
    /* The core has persisted the tombstone already; it alone stays. */
    g_autofree char *path = path_kept(effect->agent->state, effect->vm);
    json_t *json = json_file_read(path, NULL);
    g_autoptr(KeptVm) before = json != NULL ? kept_vm_decode(json, CODEC_TOLERANT, NULL) : NULL;
    json_decref(json);
    KeptVm kept = {.id = effect->vm, .tombstone = before != NULL ? before->tombstone : 1};
    run(effect, &kept);
    AgentVm *vm = agent_vm_find(effect->agent, effect->vm);
    if (vm != NULL && vm->pid == 0) {
        g_hash_table_remove(effect->agent->vms, effect->vm);
    }
}

typedef struct {
    Agent *agent;
    char *path;
    json_t *json;
} ForgetJob;

static bool write_forgotten(gpointer data, GError **error)
{
    const ForgetJob *job = data;
    return json_file_write(job->path, job->json, error);
}

static void forgotten(const GError *error, gpointer data)
{
    if (error != NULL) {
        g_warning("old tombstones are kept for now: %s", error->message);
    }
    HostEvent event = {.kind = HOST_EVENT_FORGOTTEN, .forgotten = error};
    agent_step(((ForgetJob *)data)->agent, &event);
}

static void forget_job_free(gpointer data)
{
    ForgetJob *job = data;
    g_free(job->path);
    json_decref(job->json);
    g_free(job);
}

void kept_forget(Agent *agent, const char *vm, int64_t epoch)
{
    ForgottenVms mark = {.vm = (char *)vm, .epoch = epoch};
    ForgetJob *job = g_new0(ForgetJob, 1);
    job->agent = agent;
    job->path = path_forgotten(agent->state);
    job->json = forgotten_vms_encode(&mark);
    work_run(agent->files, write_forgotten, forgotten, job, forget_job_free);
}

/* At once, so that nothing that is kept of it later is meant. Need not last: the mark does. */
void kept_drop(Agent *agent, const char *vm)
{
    g_autofree char *path = path_kept(agent->state, vm);
    if (unlink(path) != 0 && errno != ENOENT) {
        g_warning("%s: cannot remove %s: %s", vm, path, g_strerror(errno));
    }
}

ForgottenVms *kept_read_forgotten(const char *state, GError **error)
{
    g_autofree char *path = path_forgotten(state);
    json_t *json = json_file_read(path, error);
    ForgottenVms *mark = json != NULL ? forgotten_vms_decode(json, CODEC_TOLERANT, error) : NULL;
    json_decref(json);
    return mark;
}
