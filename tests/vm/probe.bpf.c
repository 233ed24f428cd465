/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The mechanisms that polygraph builds on, one program each; they count what children of one process do. */
#define SEC(name) __attribute__((section(name), used))

/* libbpf finds these fields in the running kernel's BTF. */
struct task_struct {
	int tgid;
	struct task_struct *real_parent;
} __attribute__((preserve_access_index));

/* Helper numbers: include/uapi/linux/bpf.h. */
static unsigned long long (*const bpf_get_current_task)(void) = (void *)35;
static long (*const bpf_probe_read_kernel)(void *to, unsigned int size, const void *from) = (void *)113;

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The whole of .bss; guest_checks.py writes and reads it. */
struct {
	unsigned long long watched, execs, checks;
} seen;

static int parent_is_watched(void)
{
	struct task_struct *task = (void *)bpf_get_current_task(), *parent = 0;
	int tgid = 0;

	bpf_probe_read_kernel(&parent, sizeof(parent), &task->real_parent);
	bpf_probe_read_kernel(&tgid, sizeof(tgid), &parent->tgid);
	return tgid == seen.watched;
}

SEC("tp_btf/sched_process_exec")
int count_exec(void *arguments)
{
	if (parent_is_watched())
		__sync_fetch_and_add(&seen.execs, 1);
	return 0;
}

SEC("lsm/bprm_check_security")
int count_check(void *arguments)
{
	if (parent_is_watched())
		__sync_fetch_and_add(&seen.checks, 1);
	return 0;
}
