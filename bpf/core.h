/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * core.h: what every family uses: the maps, the lineage of the current task, sending a record, counting
 * a loss. Families (process.h, file.h, net.h, tls.h) include it and are compiled together as
 * polygraph.bpf.c, so the maps exist once.
 */
#ifndef POLYGRAPH_CORE_H
#define POLYGRAPH_CORE_H

#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "wire.h"

#define PG_INLINE static __always_inline

/* Set before load. */
const volatile __u32 pg_auto = 0; /* watch --auto: report connects of processes outside any session */
const volatile __u32 pg_exes = 0; /* watch --exe: an exec of a file in `watched_files` makes a session */

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pg_lineage);
} lineage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct pg_session);
} sessions SEC(".maps");

/* Two rings, so that plaintext cannot crowd out effects. Sizes are set before load. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 * 1024 * 1024);
} effects SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 32 * 1024 * 1024);
} plaintext SEC(".maps");

/* Files that were told: those that may hold a TLS library. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct pg_mapped_key);
	__type(value, __u8);
} mapped SEC(".maps");

/* Arguments of the system call that `regs` entered; they are still there when it exits. */
#define ARG1 (regs->di)
#define ARG2 (regs->si)
#define ARG3 (regs->dx)
#define ARG4 (regs->r10)
#define ARG5 (regs->r8)
#define ARG6 (regs->r9)

/*
 * PG_READ(pointer, a, b) is pointer->a->b. The processor reads it where the kernel can be told the pointer's type
 * (bpf_rdonly_cast, Linux 6.2, a35b9af4ec2c); elsewhere a helper does, at ten times the cost. Fields of a task that we
 * were given are read so too: of a pointer that it trusts, the verifier looks each field up by name among all
 * types of the kernel, a millisecond each.
 */
extern void *bpf_rdonly_cast(void *pointer, __u32 type) __ksym __weak;
enum bpf_func_id___cast { BPF_FUNC_cgrp_storage_get = 1 }; /* came with the same release */
#define PG_CASTS bpf_core_enum_value_exists(enum bpf_func_id___cast, BPF_FUNC_cgrp_storage_get)
#define PG_CAST(pointer) ((typeof(pointer))bpf_rdonly_cast(pointer, bpf_core_type_id_kernel(typeof(*(pointer)))))
#define PG_READ(pointer, ...)                                             \
	({                                                                \
		typeof(pointer) _of = (pointer);                          \
		typeof(___arrow(_of, __VA_ARGS__)) _read;                 \
		if (PG_CASTS)                                             \
			_read = ___arrow(PG_CAST(_of), __VA_ARGS__);      \
		else                                                      \
			_read = BPF_CORE_READ(_of, __VA_ARGS__);          \
		_read;                                                    \
	})

#define EINTR 4
#define EEXIST 17

/*
 * errno of a result, 0 for success. -ERESTART* (512 to 516, include/linux/errno.h) never reaches the program: the call
 * is made again or is interrupted.
 */
PG_INLINE __s32 pg_errno(long result)
{
	if (result >= 0)
		return 0;
	return result <= -512 ? EINTR : -result;
}

/*
 * Adds a row to a map: 0, -EEXIST or another error. Before Linux 6.4 (d7ba4cc900bf) a map's own function returns an
 * int, whose sign is not in the upper half of the register.
 */
PG_INLINE int pg_add(void *map, const void *key, const void *value)
{
	return (int)bpf_map_update_elem(map, key, value, BPF_NOEXIST);
}

PG_INLINE struct pg_session *pg_session_of(__u64 handle)
{
	return bpf_map_lookup_elem(&sessions, &handle);
}

/* The lineage of a task, or NULL: not ours. `task` must be a trusted pointer. */
PG_INLINE struct pg_lineage *pg_lineage_of(struct task_struct *task)
{
	return bpf_task_storage_get(&lineage, task, 0, 0);
}

PG_INLINE struct pg_lineage *pg_current(void)
{
	return pg_lineage_of(bpf_get_current_task_btf());
}

/* The same for a thread that the kernel made for a process (io_uring's): it has no storage of its own. */
PG_INLINE struct pg_lineage *pg_lineage_of_process(struct task_struct *task)
{
	struct pg_lineage *mine = pg_lineage_of(task);

	if (!mine && task->pid != task->tgid)
		mine = pg_lineage_of(task->group_leader);
	return mine;
}

PG_INLINE void pg_lose(struct pg_session *session, enum pg_dimension dimension, enum pg_loss cause)
{
	if (session && dimension < PG_DIMENSIONS && cause < PG_LOSS_CAUSES)
		__sync_fetch_and_add(&session->lost[dimension][cause], 1);
}

/*
 * Takes the session's next seq and fills the header for `task` (its process, not its thread). seq is taken
 * before the ring is asked, so a record that finds no room leaves a gap.
 */
PG_INLINE void pg_header(struct pg_hdr *hdr, struct task_struct *task, struct pg_session *session,
			 __u64 handle, enum pg_type type, __u32 size)
{
	hdr->size = size;
	hdr->type = type;
	hdr->_pad = 0;
	hdr->ts = bpf_ktime_get_boot_ns();
	hdr->session = handle;
	hdr->seq = session ? __sync_fetch_and_add(&session->emitted, 1) + 1 : 0;
	hdr->start = PG_READ(task, group_leader, start_boottime);
	hdr->pid = task->tgid;
	hdr->tid = task->pid;
}

__u32 pg_waiting = 0; /* user space has nothing to do: the next record wakes it, whoever sends it */

/*
 * Nobody is woken for a record that is not urgent while user space works: it gathers records over a short time,
 * and a wake-up for each would cost more than the record.
 */
PG_INLINE __u64 pg_wake(__u64 flags)
{
	if (flags != BPF_RB_NO_WAKEUP || !pg_waiting)
		return flags;
	pg_waiting = 0;
	return BPF_RB_FORCE_WAKEUP;
}

/* Sends a whole record. */
PG_INLINE void pg_send(void *ring, void *record, __u32 size, struct pg_session *session,
		       enum pg_dimension dimension, __u64 flags)
{
	if (bpf_ringbuf_output(ring, record, size, pg_wake(flags)))
		pg_lose(session, dimension, PG_LOSS_RING);
}

/*
 * Scratch for records with variable parts: one per CPU, in a plain array because a per-CPU map's value may
 * not exceed 32 KiB. A probe that interrupts another on the same CPU finds it busy and counts the loss.
 */
#define PG_SCRATCH_HEAD 16384 /* fixed part, paths and names */
struct pg_scratch {
	__u64 busy;
	__u8 data[PG_SCRATCH_HEAD + PG_ARGV_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* number of possible CPUs: set before load */
	__type(key, __u32);
	__type(value, struct pg_scratch);
} scratch SEC(".maps");

PG_INLINE struct pg_scratch *pg_scratch_take(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct pg_scratch *mine = bpf_map_lookup_elem(&scratch, &cpu);

	if (!mine || __sync_lock_test_and_set(&mine->busy, 1))
		return NULL;
	return mine;
}

PG_INLINE void pg_scratch_give(struct pg_scratch *mine)
{
	__sync_lock_test_and_set(&mine->busy, 0);
}

#endif
