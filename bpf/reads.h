/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * reads.h: which files the lineage opened for reading, how far it read them, and which of them are sensitive.
 *
 * Opening an ordinary file for reading sends no record: it is a row in the ring `opened`, which has no other and which
 * user space takes away in bulk.
 */
#ifndef POLYGRAPH_READS_H
#define POLYGRAPH_READS_H

#include "core.h"

#define PG_OPENED_BYTES (4 * 1024 * 1024)

/* Rows of `sensitive` in use, and the first bytes of their heads, the last bytes of their tails: set before load. */
const volatile __u32 pg_rules = 0;
const volatile __u64 pg_rule_first[4] = {};
const volatile __u64 pg_rule_last[4] = {};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, PG_OPENED_BYTES);
} opened SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PG_RULES);
	__type(key, __u32);
	__type(value, struct pg_rule);
} sensitive SEC(".maps");

/* A file's name, and what sensitive rules compare of it. */
struct pg_rule_match {
	__u64 head[4], parent[4], tail;
	__u32 name_len, parent_len;
	__u32 rule; /* 1 + index */
};

static long pg_rule_step(__u32 index, struct pg_rule_match *file)
{
	struct pg_rule *rule = bpf_map_lookup_elem(&sensitive, &index);

	if (!rule || index >= pg_rules)
		return 1;
	if ((rule->name_len && rule->name_len != file->name_len) || (rule->parent_len && rule->parent_len != file->parent_len))
		return 0;
	if ((file->tail ^ rule->tail) & rule->tail_mask)
		return 0;
	for (int i = 0; i < 4; i++)
		if (((file->head[i] ^ rule->head[i]) & rule->head_mask[i]) || ((file->parent[i] ^ rule->parent[i]) & rule->parent_mask[i]))
			return 0;
	file->rule = index + 1;
	return 1;
}

PG_INLINE bool pg_in_set(const volatile __u64 *set, __u8 byte)
{
	return set[byte >> 6] >> (byte & 63) & 1;
}

/* The last component into `file`: length, first bytes, last bytes. */
PG_INLINE void pg_name_of(struct pg_rule_match *file, struct dentry *dentry)
{
	const unsigned char *name = PG_READ(dentry, d_name.name);
	__u32 length;

	file->name_len = PG_READ(dentry, d_name.len);
	length = file->name_len > PG_RULE_NAME ? PG_RULE_NAME : file->name_len;
	bpf_probe_read_kernel(file->head, length & 63, name);
	if (file->name_len >= 8)
		bpf_probe_read_kernel(&file->tail, 8, name + file->name_len - 8);
	else
		file->tail = file->head[0] << (64 - 8 * file->name_len & 63);
}

/*
 * The directory entry `dentry` as a number: a hash of the directory's device and inode and of the name; 0 for a
 * name that `file` does not hold whole. collector/kernel/entry.py computes the same.
 */
PG_INLINE __u64 pg_entry_of(struct pg_rule_match *file, struct dentry *dentry, __u32 dev)
{
	__u64 hash = 0xcbf29ce484222325ull, words[8];

	if (file->name_len > PG_RULE_NAME + 8)
		return 0;
	words[0] = PG_READ(dentry, d_parent, d_inode, i_ino);
	words[1] = (__u64)dev << 32 | file->name_len;
	for (int i = 0; i < 4; i++)
		words[2 + i] = file->head[i];
	words[6] = file->tail;
	for (int i = 0; i < 7; i++) {
		hash = (hash ^ words[i]) * 0x9E3779B97F4A7C15ull;
		hash ^= hash >> 29;
	}
	return hash >> 1 | 1;
}

/*
 * 1 + the index of the sensitive rule that the file's name matches, or 0. Most names are told by their first and
 * last byte to match none.
 */
PG_INLINE __u32 pg_rule_of(struct pg_rule_match *file, struct dentry *dentry)
{
	struct dentry *parent;
	__u32 length;

	if (!pg_in_set(pg_rule_first, file->head[0]) && !pg_in_set(pg_rule_last, file->tail >> 56))
		return 0;
	parent = PG_READ(dentry, d_parent);
	file->parent_len = PG_READ(parent, d_name.len);
	length = file->parent_len > PG_RULE_NAME ? PG_RULE_NAME : file->parent_len;
	bpf_probe_read_kernel(file->parent, length & 63, PG_READ(parent, d_name.name));
	/* A constant bound: 6.18 drops the callback of a loop that it knows to run 0 times, and then fails to load. */
	bpf_loop(PG_RULES, pg_rule_step, file, 0);
	return file->rule;
}

/* A row for `task`, but for what it says; NULL, and counted, if there is no room. */
PG_INLINE struct pg_opened *pg_row_begin(struct task_struct *task, __u64 handle)
{
	struct pg_opened *row = bpf_ringbuf_reserve(&opened, sizeof(*row), 0);
	struct pg_session *session;

	if (!row) {
		session = pg_session_of(handle);
		if (session)
			__sync_fetch_and_add(&session->emitted, 1);
		pg_lose(session, PG_DIM_FILE, PG_LOSS_RING);
		return NULL;
	}
	row->session = handle;
	row->start = PG_READ(task, group_leader, start_boottime);
	row->pid = PG_READ(task, tgid);
	return row;
}

PG_INLINE void pg_row_end(struct pg_opened *row)
{
	bpf_ringbuf_submit(row, bpf_ringbuf_query(&opened, BPF_RB_AVAIL_DATA) > PG_OPENED_BYTES / 2 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

/*
 * How far a file was read. A thread mostly opens a file, reads it and goes on to the next: so what it opened last is
 * kept with the thread, and the page cache says how far each read(2) asked for it, whichever call it was (pread, readv,
 * sendfile). When the thread opens the next file, or ends, a row is sent only if a part was read and no more. Who reads
 * it in another way (another thread, an inherited descriptor, a memory map) is told once for each file, and then nothing
 * is known of it. So a row never says less than what was read, and a file that was read whole costs none.
 *
 * Without the hook (before Linux 6.12), on a file system of other ways (tmpfs, overlayfs) or by O_DIRECT, no page is seen
 * of a file, and no row is sent.
 */
#define PG_PAGE_SHIFT 12
#define PG_FOREIGN 4096
#define PG_HASH 0x9E3779B97F4A7C15ull

/* Files that were told to be read in another way: hashes of session and inode, in their places. One whose place another
 * took is told again. */
__u64 pg_foreign[PG_FOREIGN];

PG_INLINE void pg_read_over(struct task_struct *task, struct pg_lineage *mine)
{
	struct pg_opened *row;

	if (mine->read_ts && mine->read_pages && mine->read_pages < mine->read_of) {
		row = pg_row_begin(task, mine->session);
		if (row) {
			row->ino = mine->read_ino;
			row->dev = mine->read_dev;
			row->ts = mine->read_ts;
			row->entry = PG_OPENED_EXTENT | (__u64)mine->read_pages << 32 | mine->read_of;
			pg_row_end(row);
		}
	}
	mine->read_ts = 0;
}

/* `inode` was read in a way that is not followed. */
PG_INLINE void pg_read_foreign(struct task_struct *task, __u64 handle, __u64 ino, __u32 dev)
{
	__u64 key = ((ino * PG_HASH ^ dev) * PG_HASH ^ handle) * PG_HASH;
	struct pg_opened *row;
	__u32 at = key >> 52 & (PG_FOREIGN - 1);

	if (pg_foreign[at] == key)
		return;
	row = pg_row_begin(task, handle);
	if (!row)
		return;
	pg_foreign[at] = key;
	row->ino = ino;
	row->dev = dev;
	row->ts = bpf_ktime_get_boot_ns();
	row->entry = PG_OPENED_EXTENT | (__u64)PG_PAGES_ALL << 32;
	pg_row_end(row);
}

/* `task` asked for `inode` up to `pages`. */
PG_INLINE void pg_read_on(struct task_struct *task, struct pg_lineage *mine, struct inode *inode, __u32 pages, bool own)
{
	__u64 ino = PG_READ(inode, i_ino);
	__u32 dev = PG_READ(inode, i_sb, s_dev);

	if (!own || !mine->read_ts || mine->read_ino != ino || mine->read_dev != dev)
		pg_read_foreign(task, mine->session, ino, dev);
	else if (mine->read_pages < pages)
		mine->read_pages = pages;
}

SEC("raw_tp/mm_filemap_get_pages")
int pg_on_pages(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct address_space *mapping;
	bool own = mine;
	__u64 last;

	if (!mine)
		mine = pg_lineage_of_process(task); /* a thread of io_uring's */
	if (!mine)
		return 0;
	mapping = (struct address_space *)ctx->args[0];
	last = ctx->args[2];
	pg_read_on(task, mine, PG_READ(mapping, host), last < PG_PAGES_ALL ? last + 1 : PG_PAGES_ALL, own);
	return 0;
}

/* Notes that `task` opened the file behind `inode` for reading, by the entry `dentry` whose name is `name`. */
PG_INLINE void pg_read_touch(struct task_struct *task, struct pg_lineage *mine, struct inode *inode, struct dentry *dentry,
			     struct pg_rule_match *name, bool direct)
{
	struct pg_opened *row;
	__u64 size;

	pg_read_over(task, mine);
	row = pg_row_begin(task, mine->session);
	if (!row)
		return;
	row->ino = mine->read_ino = PG_READ(inode, i_ino);
	row->dev = mine->read_dev = PG_READ(inode, i_sb, s_dev);
	row->entry = pg_entry_of(name, dentry, row->dev);
	row->ts = mine->read_ts = bpf_ktime_get_boot_ns();
	pg_row_end(row);
	size = (PG_READ(inode, i_size) + (1 << PG_PAGE_SHIFT) - 1) >> PG_PAGE_SHIFT;
	mine->read_of = size < PG_PAGES_ALL ? size : 0;
	mine->read_pages = direct ? PG_PAGES_ALL : 0;
}

#endif
