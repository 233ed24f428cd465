/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * file.h: what the lineage does to files.
 *
 * Only exits of system calls are hooked: an entry probe would double the cost of looking, and the arguments are
 * still in the task's saved registers. What was opened is taken from the open file, so it is resolved by the
 * kernel. The other operations leave no file behind: they come as the directory (resolved) and the argument.
 *
 * Volume. Opening an ordinary file for reading sends nothing (reads.h). A file written again and again is one
 * record, then a counter.
 */
#ifndef POLYGRAPH_FILE_H
#define POLYGRAPH_FILE_H

#include "core.h"
#include "path.h"
#include "reads.h"

#define O_ACCMODE 3
#define O_CREAT 0100
#define O_TRUNC 01000
#define O_DIRECT 040000
#define O_PATH 010000000
#define S_IFMT 0170000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define AT_FDCWD -100
#define AT_REMOVEDIR 0x200
#define FMODE_CREATED (1 << 20) /* include/linux/fs.h, since v4.19: this open made the file */
#define PROT_EXEC 4
#define MAP_ANONYMOUS 0x20
#define PG_MEMFD 0x3a64666d656dull /* "memfd:", little-endian */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct pg_touch_key);
	__type(value, struct pg_touch);
} touched SEC(".maps");

/* The open file of descriptor `fd`, or NULL. */
PG_INLINE struct file *pg_file_of(struct task_struct *task, long fd)
{
	struct fdtable *table = PG_READ(task, files, fdt);
	struct file **slot, *file = NULL;

	if (fd < 0 || fd >= PG_READ(table, max_fds))
		return NULL;
	slot = PG_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), &slot[fd]);
	return file;
}

/* Starts a file record in scratch; NULL (and counted) if there is no scratch. */
PG_INLINE struct pg_file *pg_file_begin(struct pg_scratch **space, struct pg_session *session)
{
	struct pg_file *record;

	*space = pg_scratch_take();
	if (!*space) {
		if (session)
			__sync_fetch_and_add(&session->emitted, 1);
		pg_lose(session, PG_DIM_FILE, PG_LOSS_SCRATCH);
		return NULL;
	}
	record = (struct pg_file *)(*space)->data;
	__builtin_memset(record, 0, sizeof(*record));
	return record;
}

PG_INLINE void pg_file_end(struct pg_scratch *space, __u32 size, struct task_struct *task,
			   struct pg_session *session, __u64 handle)
{
	struct pg_file *record = (struct pg_file *)space->data;

	pg_header(&record->hdr, task, session, handle, PG_FILE, size);
	barrier_var(size); /* or the comparison is made with another form of it than the call's */
	if (size <= sizeof(space->data))
		pg_send(&effects, record, size, session, PG_DIM_FILE, BPF_RB_NO_WAKEUP);
	pg_scratch_give(space);
}

/* Identity and path of an open file into the record; returns the path's length. */
PG_INLINE __u32 pg_file_describe(struct pg_scratch *space, struct file *file)
{
	struct pg_file *record = (struct pg_file *)space->data;
	struct dentry *dentry = PG_READ(file, f_path.dentry);
	__u32 flags, length;
	__u64 name = 0;

	record->ino = PG_READ(file, f_inode, i_ino);
	record->dev = PG_READ(file, f_inode, i_sb, s_dev);
	record->mode = PG_READ(file, f_inode, i_mode);
	length = pg_path_copy(&space->data[sizeof(*record)], PG_READ(file, f_path.mnt), dentry, &flags);
	record->path_len = length;
	record->flags |= PG_FILE_RESOLVED;
	if (flags & PG_PATH_TRUNCATED)
		record->flags |= PG_FILE_TRUNCATED;
	if (flags & PG_PATH_DELETED)
		record->flags |= PG_FILE_DELETED;
	bpf_probe_read_kernel(&name, sizeof("memfd:") - 1, PG_READ(dentry, d_name.name));
	/* As one number: the verifier goes each way of each comparison. */
	if (name == PG_MEMFD && !(flags & PG_PATH_TRUNCATED) && space->data[sizeof(*record)] == '/')
		record->flags |= PG_FILE_MEMFD;
	if (flags & PG_PATH_PSEUDO)
		record->flags |= PG_FILE_MEMFD;
	return length;
}

__u32 pg_touched_again = 0; /* a counter of `touched` grew; user space takes it down */

/*
 * A later touch of what was reported: counted, true. The first one of (session, file, op): false, to be
 * reported.
 */
PG_INLINE bool pg_touched(struct task_struct *task, __u64 handle, __u64 ino, __u32 dev,
			  __u32 op)
{
	struct pg_touch_key key = {.session = handle, .ino = ino, .dev = dev, .op = op};
	struct pg_touch fresh = {}, *known;

	known = bpf_map_lookup_elem(&touched, &key);
	if (!known) {
		/* Of two that are first at once the one that was not counts; a full map counts nothing, each is a record. */
		if (pg_add(&touched, &key, &fresh) != -EEXIST)
			return false;
		known = bpf_map_lookup_elem(&touched, &key);
	}
	if (known) {
		known->last_ts = bpf_ktime_get_boot_ns();
		if (!known->first_ts)
			known->first_ts = known->last_ts;
		known->start = PG_READ(task, group_leader, start_boottime);
		known->pid = PG_READ(task, tgid);
		__sync_fetch_and_add(&known->count, 1);
		pg_touched_again = 1;
		return true;
	}
	return false;
}

#define PG_DESCRIPTOR_PREFIX 14 /* bytes of "/proc/self/fd/" */
#define PG_DESCRIPTOR_DIGITS 7

/*
 * The descriptor that a path goes through, and above it (<< 32) the bytes before what lies below: 12 and 16 of
 * "/proc/self/fd/12/name", by which Bun renames files. -1 for every other path. Not static: the verifier then looks at it
 * once a program, not at each of its calls.
 */
__noinline long pg_path_descriptor(__u64 argument)
{
	char text[PG_DESCRIPTOR_PREFIX + PG_DESCRIPTOR_DIGITS + 3] __attribute__((aligned(8))) = {};
	__u64 at = PG_DESCRIPTOR_PREFIX;
	__u32 descriptor = 0;

	bpf_probe_read_user_str(text, sizeof(text), (void *)argument);
	if (*(__u64 *)text != 0x65732f636f72702full || /* "/proc/se" */
	    *(__u32 *)(text + 8) != 0x662f666c ||      /* "lf/f" */
	    *(__u16 *)(text + 12) != 0x2f64)           /* "d/" */
		return -1;
#pragma unroll
	for (int digit = 0; digit < PG_DESCRIPTOR_DIGITS; digit++) {
		if (text[PG_DESCRIPTOR_PREFIX + digit] < '0' || text[PG_DESCRIPTOR_PREFIX + digit] > '9')
			break;
		descriptor = descriptor * 10 + text[PG_DESCRIPTOR_PREFIX + digit] - '0';
		at = PG_DESCRIPTOR_PREFIX + digit + 1;
	}
	if (at == PG_DESCRIPTOR_PREFIX || text[at] != '/')
		return -1;
	return at << 32 | descriptor;
}

struct pg_paths {
	__u8 op;
	int dirfd, dirfd2;
	const char *path, *path2;
	__u64 hash;
	__u32 flags;
};

/*
 * A path argument and its directory, appended to the record at `at`; returns where it ends, 0 if the argument cannot be
 * read any more. An absolute one has a directory where the task's root is none (chroot). Not static: the verifier then
 * looks at it once, not at a second argument for each state in which the first one may have left it.
 */
__noinline __u64 pg_file_argument(struct pg_scratch *space, __u64 at, struct pg_paths *of, bool second)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vfsmount *mount = NULL;
	struct dentry *dentry = NULL;
	const char *argument;
	struct pg_file *record;
	__u32 flags = 0, length;
	struct file *base;
	long through, got;
	char first = 0;
	int dirfd;

	if (!space || !of || at < sizeof(*record))
		return 0;
	record = (struct pg_file *)space->data;
	argument = second ? of->path2 : of->path;
	dirfd = second ? of->dirfd2 : of->dirfd;
	through = pg_path_descriptor((__u64)argument);
	bpf_probe_read_user(&first, 1, argument);
	if (through >= 0) {
		first = 0;
		dirfd = through & 0x7fffffff;
		argument += through >> 32;
	}
	if (at < PG_SCRATCH_HEAD) {
		if (first == '/') {
			mount = PG_READ(task, fs, root.mnt);
			dentry = PG_READ(task, fs, root.dentry);
		} else if (dirfd == AT_FDCWD) {
			mount = PG_READ(task, fs, pwd.mnt);
			dentry = PG_READ(task, fs, pwd.dentry);
		} else if ((base = pg_file_of(task, dirfd))) {
			mount = PG_READ(base, f_path.mnt);
			dentry = PG_READ(base, f_path.dentry);
		}
		length = pg_path_copy(&space->data[at], mount, dentry, &flags);
		if (length == 1 && first == '/')
			length = 0; /* the root of all */
		if (length) {
			if (second)
				record->base2_len = length;
			else
				record->base_len = length;
			record->flags |= second ? PG_FILE_BASE2 : PG_FILE_BASE;
			if (flags & PG_PATH_TRUNCATED)
				record->flags |= PG_FILE_TRUNCATED;
			at += length;
		}
	}
	barrier_var(at); /* or the comparison is made with another form of it than the call's */
	if (at >= PG_SCRATCH_HEAD + PG_PATH_MAX)
		return at;
	got = bpf_probe_read_user_str(&space->data[at], PG_PATH_MAX, argument);
	if (got <= 0) {
		if (second)
			record->base2_len = 0;
		else
			record->base_len = 0;
		return 0;
	}
	length = (got - 1) & (PG_PATH_MAX - 1); /* 6.1 and 6.12 lose the bound of a signed length */
	if (second)
		record->path2_len = length;
	else
		record->path_len = length;
	return at + length;
}

/*
 * An operation of the current task on one or two path arguments, done or refused. Not static: the verifier then looks
 * at it once, not once for each state in which its callers may be.
 */
__noinline int pg_path_operation(long result, struct pg_paths *of)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pg_session *session;
	struct pg_scratch *space;
	struct pg_file *record;
	__u64 at = sizeof(*record), end;

	if (!mine || !of)
		return 0;
	session = pg_session_of(mine->session);
	record = pg_file_begin(&space, session);
	if (!record)
		return 0;
	record->op = of->op;
	record->ino = of->hash;
	record->open_flags = of->flags;
	record->error = pg_errno(result);
	for (int second = 0; second < (of->path2 ? 2 : 1); second++) {
		end = pg_file_argument(space, at, of, second);
		if (end)
			at = end;
		else
			pg_lose(session, PG_DIM_FILE, PG_LOSS_READ);
	}
	pg_file_end(space, at, task, session, mine->session);
	return 0;
}

/* An operation on an open descriptor (ftruncate, fchmod). */
PG_INLINE int pg_fd_operation(long result, struct task_struct *task, struct pg_lineage *mine, int fd, __u8 op)
{
	struct pg_session *session = pg_session_of(mine->session);
	struct file *file = pg_file_of(task, fd);
	struct pg_scratch *space;
	struct pg_file *record;
	__u32 length = 0;

	if (file && result >= 0 && pg_touched(task, mine->session, PG_READ(file, f_inode, i_ino),
					       PG_READ(file, f_inode, i_sb, s_dev), op))
		return 0;
	record = pg_file_begin(&space, session);
	if (!record)
		return 0;
	record->op = op;
	record->error = pg_errno(result);
	if (file)
		length = pg_file_describe(space, file);
	pg_file_end(space, sizeof(*record) + length, task, session, mine->session);
	return 0;
}

#define PG_HASH_WORDS 64

/*
 * A hash of a path argument of the current task and the directory it is taken from; 0 for one that is too long or
 * unreadable. Not static, for the verifier's sake.
 */
__noinline __u64 pg_path_hash(int dirfd, __u64 argument)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_scratch *space = pg_scratch_take();
	__u64 hash = 0xcbf29ce484222325ull, *words;
	struct file *base;
	long length;

	if (!space)
		return 0;
	words = (__u64 *)space->data;
	__builtin_memset(words, 0, PG_HASH_WORDS * 8);
	length = bpf_probe_read_user_str(words, PG_HASH_WORDS * 8, (void *)argument);
	if (length <= 1 || length >= PG_HASH_WORDS * 8) {
		pg_scratch_give(space);
		return 0;
	}
	if (space->data[0] != '/') {
		if (dirfd == AT_FDCWD) {
			hash ^= (__u64)BPF_CORE_READ(task, fs, pwd.dentry);
		} else {
			base = pg_file_of(task, dirfd);
			if (base)
				hash ^= (__u64)BPF_CORE_READ(base, f_path.dentry);
		}
	}
	for (int i = 0; i < PG_HASH_WORDS; i++) {
		if (i * 8 >= length)
			break;
		hash = (hash ^ words[i]) * 0x9E3779B97F4A7C15ull;
		hash ^= hash >> 29;
	}
	pg_scratch_give(space);
	return hash ? hash : 1;
}

PG_INLINE int pg_opened(long result, struct task_struct *task, struct pg_lineage *mine, int dirfd, const char *path,
			__u32 flags)
{
	struct pg_session *session;
	struct pg_scratch *space;
	struct pg_file *record;
	struct inode *inode;
	struct file *file;
	struct dentry *dentry;
	struct pg_rule_match name = {};
	__u32 op, rule = 0, kind, length;

	if (result < 0) {
		struct pg_paths refused = {.dirfd = dirfd, .path = path, .flags = flags};

		if (!(flags & (O_CREAT | O_ACCMODE))) {
			/* Programs search: for locales, headers, modules. Each path is told once, then counted. */
			refused.hash = pg_path_hash(dirfd, (__u64)path);
			if (refused.hash && pg_touched(task, mine->session, refused.hash, 0, PG_OP_READ | pg_errno(result) << 8))
				return 0;
		}

		refused.op = flags & O_CREAT ? PG_OP_CREATE : flags & O_ACCMODE ? PG_OP_WRITE : PG_OP_READ;
		return pg_path_operation(result, &refused);
	}
	file = pg_file_of(task, result);
	if (!file || flags & O_PATH)
		return 0;
	inode = PG_READ(file, f_inode);
	kind = PG_READ(inode, i_mode) & S_IFMT;
	if (kind != S_IFREG && kind != S_IFBLK)
		return 0; /* directories, terminals, pipes: no content that a verdict speaks of */
	if (PG_READ(file, f_mode) & FMODE_CREATED)
		op = PG_OP_CREATE;
	else if (flags & O_TRUNC)
		op = PG_OP_TRUNCATE;
	else if (PG_READ(file, f_flags) & O_ACCMODE)
		op = PG_OP_WRITE;
	else
		op = PG_OP_READ;
	if (op == PG_OP_READ) {
		dentry = PG_READ(file, f_path.dentry);
		pg_name_of(&name, dentry);
		pg_read_touch(task, mine, inode, dentry, &name, PG_READ(file, f_flags) & O_DIRECT);
		rule = pg_rule_of(&name, dentry);
		if (!rule)
			return 0;
	} else if (op != PG_OP_CREATE && pg_touched(task, mine->session, PG_READ(inode, i_ino),
					       PG_READ(inode, i_sb, s_dev), op)) {
		return 0;
	}
	session = pg_session_of(mine->session);
	record = pg_file_begin(&space, session);
	if (!record)
		return 0;
	record->op = op;
	record->open_flags = flags;
	if (rule) {
		record->flags |= PG_FILE_SENSITIVE;
		record->rule = rule - 1;
	}
	length = pg_file_describe(space, file);
	pg_file_end(space, sizeof(*record) + length, task, session, mine->session);
	return 0;
}

/* System calls of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl). Tracepoints of system calls skip 32-bit tasks. */
enum {
	NR_open = 2,
	NR_truncate = 76,
	NR_ftruncate = 77,
	NR_rename = 82,
	NR_mkdir = 83,
	NR_rmdir = 84,
	NR_creat = 85,
	NR_link = 86,
	NR_unlink = 87,
	NR_symlink = 88,
	NR_chmod = 90,
	NR_fchmod = 91,
	NR_openat = 257,
	NR_mkdirat = 258,
	NR_unlinkat = 263,
	NR_renameat = 264,
	NR_linkat = 265,
	NR_symlinkat = 266,
	NR_fchmodat = 268,
	NR_renameat2 = 316,
	NR_openat2 = 437,
	NR_fchmodat2 = 452,
};

/*
 * One program for a family of calls, attached to the exit of each: a program for each would be verified
 * separately, and loading took 0.4 s.
 */
SEC("tp")
int pg_on_open(struct syscall_trace_exit *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	int nr = ctx->nr, directory = AT_FDCWD;
	struct pt_regs *regs;
	const void *path;
	__u64 flags = 0;

	if (!mine)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	if (nr == NR_openat || nr == NR_openat2) {
		directory = ARG1;
		path = (void *)ARG2;
		flags = ARG3;
		if (nr == NR_openat2) /* struct open_how begins with the flags */
			bpf_probe_read_user(&flags, sizeof(flags), (void *)flags);
	} else {
		path = (void *)ARG1;
		flags = nr == NR_creat ? O_CREAT | O_TRUNC | 1 : ARG2;
	}
	return pg_opened(ctx->ret, task, mine, directory, path, flags);
}

SEC("tp")
int pg_on_path(struct syscall_trace_exit *ctx)
{
	struct pg_paths of = {.dirfd = AT_FDCWD, .dirfd2 = AT_FDCWD};
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pt_regs *regs;
	int nr = ctx->nr;

	if (!mine)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	of.path = (void *)ARG1;
	switch (nr) {
	case NR_unlink:
		of.op = PG_OP_UNLINK;
		break;
	case NR_rmdir:
		of.op = PG_OP_RMDIR;
		break;
	case NR_mkdir:
		of.op = PG_OP_MKDIR;
		break;
	case NR_truncate:
		of.op = PG_OP_TRUNCATE;
		break;
	case NR_chmod:
		of.op = PG_OP_CHMOD;
		of.flags = ARG2;
		break;
	case NR_rename:
	case NR_link:
	case NR_symlink:
		of.op = nr == NR_rename ? PG_OP_RENAME : nr == NR_link ? PG_OP_LINK : PG_OP_SYMLINK;
		of.path2 = (void *)ARG2;
		break;
	case NR_symlinkat: /* (target, dirfd, name) */
		of.op = PG_OP_SYMLINK;
		of.dirfd2 = ARG2;
		of.path2 = (void *)ARG3;
		break;
	case NR_renameat:
	case NR_renameat2:
	case NR_linkat:
		of.op = nr == NR_linkat ? PG_OP_LINK : PG_OP_RENAME;
		of.dirfd = ARG1;
		of.path = (void *)ARG2;
		of.dirfd2 = ARG3;
		of.path2 = (void *)ARG4;
		of.flags = nr == NR_renameat ? 0 : ARG5;
		break;
	case NR_unlinkat:
		of.op = ARG3 & AT_REMOVEDIR ? PG_OP_RMDIR : PG_OP_UNLINK;
		of.dirfd = ARG1;
		of.path = (void *)ARG2;
		break;
	case NR_mkdirat:
		of.op = PG_OP_MKDIR;
		of.dirfd = ARG1;
		of.path = (void *)ARG2;
		break;
	case NR_fchmodat:
	case NR_fchmodat2:
		of.op = PG_OP_CHMOD;
		of.dirfd = ARG1;
		of.path = (void *)ARG2;
		of.flags = ARG3;
		break;
	default:
		return 0;
	}
	return pg_path_operation(ctx->ret, &of);
}

SEC("tp")
int pg_on_descriptor(struct syscall_trace_exit *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pt_regs *regs;

	if (!mine)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	return pg_fd_operation(ctx->ret, task, mine, ARG1, ctx->nr == NR_fchmod ? PG_OP_CHMOD : PG_OP_TRUNCATE);
}

/*
 * Mappings: how far one is read cannot be seen. Executable ones: where a TLS library may have come in; each file is told
 * once per mount namespace.
 */
SEC("tp")
int pg_on_mmap(struct syscall_trace_exit *ctx)
{
	struct pg_mapped_key key = {};
	struct pg_session *session;
	struct pg_scratch *space;
	struct pg_mapped *record;
	struct file *file;
	struct task_struct *task = bpf_get_current_task_btf();
	struct pg_lineage *mine = pg_lineage_of(task);
	struct pt_regs *regs;
	__u32 length, flags;
	__u8 one = 1;

	if (!mine)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(task);
	if (ARG4 & MAP_ANONYMOUS || (ctx->ret < 0 && ctx->ret > -4096))
		return 0;
	file = pg_file_of(task, (int)ARG5);
	if (!file)
		return 0;
	pg_read_on(task, mine, PG_READ(file, f_inode), PG_PAGES_ALL, true);
	if (!(ARG3 & PROT_EXEC))
		return 0;
	key.ino = PG_READ(file, f_inode, i_ino);
	key.dev = PG_READ(file, f_inode, i_sb, s_dev);
	key.ns_mnt = PG_READ(task, nsproxy, mnt_ns, ns.inum);
	if (pg_add(&mapped, &key, &one) == -EEXIST)
		return 0;
	session = pg_session_of(mine->session);
	space = pg_scratch_take();
	if (!space) {
		bpf_map_delete_elem(&mapped, &key);
		if (session)
			__sync_fetch_and_add(&session->emitted, 1);
		pg_lose(session, PG_DIM_TLS, PG_LOSS_SCRATCH);
		return 0;
	}
	record = (struct pg_mapped *)space->data;
	__builtin_memset(record, 0, sizeof(*record));
	record->ino = key.ino;
	record->dev = key.dev;
	record->ns_mnt = key.ns_mnt;
	length = pg_path_copy(&space->data[sizeof(*record)], PG_READ(file, f_path.mnt), PG_READ(file, f_path.dentry), &flags);
	record->path_len = length;
	pg_header(&record->hdr, task, session, mine->session, PG_MAPPED, sizeof(*record) + length);
	if (bpf_ringbuf_output(&effects, record, sizeof(*record) + length, BPF_RB_FORCE_WAKEUP)) {
		bpf_map_delete_elem(&mapped, &key); /* told when it is mapped again */
		pg_lose(session, PG_DIM_TLS, PG_LOSS_RING);
	}
	pg_scratch_give(space);
	return 0;
}

#endif
