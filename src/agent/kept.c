/* PERSIST: what must survive the agent. CLEAN: the end of a VM's disks and of all but its
 * tombstone. */
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
