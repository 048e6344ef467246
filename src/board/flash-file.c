/* SPDX-License-Identifier: MIT */
/* Files of the flash directory: what write() took is in the kernel's hands when it returns (S19),
 * and on the disk when the file is closed, since power goes away on these boards. Reading is
 * buffered. */
#include "board/flash-file.h"

#include <fcntl.h>

#include "board/flash-adopt.h"
#include "board/flash-quota.h"
#include "py/gc.h"
#include "py/mperrno.h"
#include "py/runtime.h"
#include "py/stream.h"

#define READ_BUFFER_SIZE 512
#define READER_BUFFER_SIZE 255 /* what the import machinery reads at once; its limit */
#define SYNC_TABLE_MAX 1024

typedef struct FlashFile {
        mp_obj_base_t base;
        int fd; /* -EBADF when closed */
        bool readable, writable, append;
        uint16_t buffer_start, buffer_len; /* read ahead and not handed out yet */
        uint8_t buffer[READ_BUFFER_SIZE];
} FlashFile;

extern const mp_obj_type_t flash_fileio_type;
extern const mp_obj_type_t flash_textio_type;

/* Descriptors that were written to since their last fsync. */
static bool dirty[SYNC_TABLE_MAX];

static void dirty_set(int fd, bool is_dirty) {
        if (fd < SYNC_TABLE_MAX)
                dirty[fd] = is_dirty;
}

static int dirty_sync(int fd) {
        if (fd < SYNC_TABLE_MAX && !dirty[fd])
                return 0;
        dirty_set(fd, false);
        /* EINVAL: a file system that knows nothing of it. */
        return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

void flash_file_sync_all(void) {
        for (int fd = 0; fd < SYNC_TABLE_MAX; fd++)
                (void) dirty_sync(fd);
}

/* ---- opening ---- */

typedef struct OpenMode {
        int flags;
        bool readable, writable, text;
} OpenMode;

static OpenMode mode_parse(const char *s) {
        OpenMode m = { .text = true };
        bool plus = false;
        char what = 0;

        for (; *s; s++) {
                if (strchr("rwax", *s) && !what)
                        what = *s;
                else if (*s == '+' && !plus)
                        plus = true;
                else if (*s == 'b')
                        m.text = false;
                else if (*s != 't')
                        mp_raise_ValueError(MP_ERROR_TEXT("invalid mode"));
        }
        if (!what)
                mp_raise_ValueError(MP_ERROR_TEXT("invalid mode"));
        m.readable = what == 'r' || plus;
        m.writable = what != 'r' || plus;
        m.flags = m.readable && m.writable ? O_RDWR : m.writable ? O_WRONLY : O_RDONLY;
        m.flags |= what == 'w' ? O_CREAT | O_TRUNC : what == 'a' ? O_CREAT | O_APPEND
                 : what == 'x' ? O_CREAT | O_EXCL : 0;
        return m;
}

/* Within the quota; and what somebody else has put there is the board's to write to. */
static int file_open(const FlashPath *path, int flags) {
        bool writes = (flags & O_ACCMODE) != O_RDONLY;
        int r = flags & O_CREAT ? flash_quota_create(path) : 0;

        if (r >= 0)
                r = flash_path_open(path, flags, 0666);
        if (r == -EACCES && writes && !(flags & O_EXCL)) {
                int adopted = flash_adopt(path, flags & O_TRUNC);

                /* -ENOENT: there is none to adopt, the directory is what is closed. */
                if (adopted >= 0)
                        r = flash_path_open(path, flags, 0666);
                else if (adopted != -ENOENT)
                        r = adopted;
        }
        return r;
}

/* Room for what is written next. */
static int file_make_room(const FlashFile *f, size_t size) {
        struct stat st;
        off_t at;

        if (!flash_quota_is_set())
                return 0;
        if (fstat(f->fd, &st) < 0)
                return -errno;
        at = f->append ? st.st_size : lseek(f->fd, 0, SEEK_CUR);
        return at < 0 ? -errno : flash_quota_grow((uint64_t) st.st_size, (uint64_t) at + size);
}

mp_obj_t flash_file_open(const FlashPath *path, const char *mode, bool may_write) {
        OpenMode m = mode_parse(mode);
        FlashFile *f;
        int fd;

        if (m.writable && !may_write)
                mp_raise_OSError(MP_EROFS);
        f = mp_obj_malloc_with_finaliser(FlashFile,
                                         m.text ? &flash_textio_type : &flash_fileio_type);
        f->fd = -EBADF;
        f->readable = m.readable;
        f->writable = m.writable;
        f->append = m.flags & O_APPEND;
        f->buffer_start = f->buffer_len = 0;

        fd = file_open(path, m.flags);
        if (fd == -EMFILE || fd == -ENFILE) {
                gc_collect(); /* files that nobody refers to any more */
                fd = file_open(path, m.flags);
        }
        if (fd < 0)
                mp_raise_OSError(-fd);
        f->fd = fd;
        if (m.flags & (O_CREAT | O_TRUNC) && m.writable)
                dirty_set(fd, true);
        else
                dirty_set(fd, false);
        return MP_OBJ_FROM_PTR(f);
}

/* ---- the stream protocol ---- */

static FlashFile *file_open_self(mp_obj_t self_in) {
        FlashFile *f = MP_OBJ_TO_PTR(self_in);

        if (f->fd < 0)
                mp_raise_ValueError(MP_ERROR_TEXT("I/O operation on closed file"));
        return f;
}

static mp_uint_t file_error(int error, int *errcode) {
        *errcode = error;
        return MP_STREAM_ERROR;
}

static ssize_t read_retry(int fd, void *buf, size_t size) {
        ssize_t n;

        do
                n = read(fd, buf, size);
        while (n < 0 && errno == EINTR);
        return n;
}

/* Forgets what was read ahead: the kernel's position becomes the one that Python sees. */
static int file_drop_buffer(FlashFile *f) {
        off_t ahead = f->buffer_len;

        f->buffer_start = f->buffer_len = 0;
        return ahead > 0 && lseek(f->fd, -ahead, SEEK_CUR) < 0 ? -errno : 0;
}

/* Takes what is buffered, up to size. */
static size_t file_take_buffer(FlashFile *f, void *buf, size_t size) {
        size = MIN(size, (size_t) f->buffer_len);
        memcpy(buf, f->buffer + f->buffer_start, size);
        f->buffer_start += (uint16_t) size;
        f->buffer_len -= (uint16_t) size;
        return size;
}

/* Less than size means the end of the file and nothing else: the import machinery relies on it
 * (extmod/vfs_reader.c). */
static mp_uint_t file_read(mp_obj_t self_in, void *buf, mp_uint_t size, int *errcode) {
        FlashFile *f = file_open_self(self_in);
        mp_uint_t done;

        if (!f->readable)
                return file_error(MP_EBADF, errcode);
        done = file_take_buffer(f, buf, size);
        while (done < size) {
                bool direct = size - done >= READ_BUFFER_SIZE;
                ssize_t n = direct ? read_retry(f->fd, (uint8_t *) buf + done, size - done)
                                   : read_retry(f->fd, f->buffer, READ_BUFFER_SIZE);

                if (n < 0 && done == 0)
                        return file_error(errno, errcode);
                if (n <= 0)
                        break;
                if (direct) {
                        done += (mp_uint_t) n;
                        continue;
                }
                f->buffer_start = 0;
                f->buffer_len = (uint16_t) n;
                done += file_take_buffer(f, (uint8_t *) buf + done, size - done);
        }
        return done;
}

static mp_uint_t file_write(mp_obj_t self_in, const void *buf, mp_uint_t size, int *errcode) {
        FlashFile *f = file_open_self(self_in);
        ssize_t n;
        int r;

        if (!f->writable)
                return file_error(MP_EBADF, errcode);
        r = file_drop_buffer(f);
        if (r >= 0)
                r = file_make_room(f, size);
        if (r < 0)
                return file_error(-r, errcode);
        do
                n = write(f->fd, buf, size);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return file_error(errno, errcode);
        dirty_set(f->fd, true);
        return (mp_uint_t) n;
}

static mp_uint_t file_seek(FlashFile *f, struct mp_stream_seek_t *s, int *errcode) {
        off_t position;
        int r;

        if (s->whence < SEEK_SET || s->whence > SEEK_END) /* Linux has more than MicroPython */
                return file_error(EINVAL, errcode);
        r = file_drop_buffer(f);
        if (r < 0)
                return file_error(-r, errcode);
        position = lseek(f->fd, s->offset, s->whence);
        if (position < 0)
                return file_error(errno, errcode);
        s->offset = position;
        return 0;
}

static mp_uint_t file_close(FlashFile *f, int *errcode) {
        int r = 0;

        if (f->fd >= 0) {
                if (f->writable)
                        r = dirty_sync(f->fd);
                if (close(f->fd) < 0 && r == 0 && errno != EINTR)
                        r = -errno;
                f->fd = -EBADF;
        }
        return r < 0 ? file_error(-r, errcode) : 0;
}

static mp_uint_t file_ioctl(mp_obj_t self_in, mp_uint_t request, uintptr_t arg, int *errcode) {
        FlashFile *f = MP_OBJ_TO_PTR(self_in);
        int r;

        if (request == MP_STREAM_CLOSE)
                return file_close(f, errcode);
        f = file_open_self(self_in);
        switch (request) {
        case MP_STREAM_FLUSH:
                r = f->writable ? dirty_sync(f->fd) : 0;
                return r < 0 ? file_error(-r, errcode) : 0;
        case MP_STREAM_SEEK:
                return file_seek(f, (struct mp_stream_seek_t *) arg, errcode);
        case MP_STREAM_POLL: /* a file is always ready */
                return arg & (MP_STREAM_POLL_RD | MP_STREAM_POLL_WR);
        case MP_STREAM_GET_BUFFER_SIZE:
                return READER_BUFFER_SIZE;
        default:
                return file_error(MP_EINVAL, errcode);
        }
}

/* ---- the types ---- */

static void file_print(const mp_print_t *print, mp_obj_t self_in, mp_print_kind_t kind) {
        mp_printf(print, "<io.%s>", mp_obj_get_type_str(self_in));
}

/* truncate([size]), as CPython has it: the position stays. */
static mp_obj_t file_truncate(size_t n_args, const mp_obj_t *args) {
        FlashFile *f = file_open_self(args[0]);
        struct stat st;
        off_t size;
        int r;

        if (!f->writable)
                mp_raise_OSError(MP_EBADF);
        r = file_drop_buffer(f);
        if (r < 0)
                mp_raise_OSError(-r);
        size = n_args > 1 ? (off_t) mp_obj_get_int(args[1]) : lseek(f->fd, 0, SEEK_CUR);
        if (size < 0)
                mp_raise_OSError(MP_EINVAL);
        if (fstat(f->fd, &st) < 0)
                mp_raise_OSError(errno);
        r = flash_quota_grow((uint64_t) st.st_size, (uint64_t) size);
        if (r < 0)
                mp_raise_OSError(-r);
        if (ftruncate(f->fd, size) < 0)
                mp_raise_OSError(errno);
        dirty_set(f->fd, true);
        return mp_obj_new_int_from_ll(size);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(file_truncate_obj, 1, 2, file_truncate);

static const mp_rom_map_elem_t file_locals_table[] = {
        { MP_ROM_QSTR(MP_QSTR_read), MP_ROM_PTR(&mp_stream_read_obj) },
        { MP_ROM_QSTR(MP_QSTR_readinto), MP_ROM_PTR(&mp_stream_readinto_obj) },
        { MP_ROM_QSTR(MP_QSTR_readline), MP_ROM_PTR(&mp_stream_unbuffered_readline_obj) },
        { MP_ROM_QSTR(MP_QSTR_readlines), MP_ROM_PTR(&mp_stream_unbuffered_readlines_obj) },
        { MP_ROM_QSTR(MP_QSTR_write), MP_ROM_PTR(&mp_stream_write_obj) },
        { MP_ROM_QSTR(MP_QSTR_seek), MP_ROM_PTR(&mp_stream_seek_obj) },
        { MP_ROM_QSTR(MP_QSTR_tell), MP_ROM_PTR(&mp_stream_tell_obj) },
        { MP_ROM_QSTR(MP_QSTR_truncate), MP_ROM_PTR(&file_truncate_obj) },
        { MP_ROM_QSTR(MP_QSTR_flush), MP_ROM_PTR(&mp_stream_flush_obj) },
        { MP_ROM_QSTR(MP_QSTR_close), MP_ROM_PTR(&mp_stream_close_obj) },
        { MP_ROM_QSTR(MP_QSTR___del__), MP_ROM_PTR(&mp_stream_close_obj) },
        { MP_ROM_QSTR(MP_QSTR___enter__), MP_ROM_PTR(&mp_identity_obj) },
        { MP_ROM_QSTR(MP_QSTR___exit__), MP_ROM_PTR(&mp_stream___exit___obj) },
};
static MP_DEFINE_CONST_DICT(file_locals, file_locals_table);

static const mp_stream_p_t fileio_stream = {
        .read = file_read,
        .write = file_write,
        .ioctl = file_ioctl,
};

MP_DEFINE_CONST_OBJ_TYPE(flash_fileio_type, MP_QSTR_FileIO, MP_TYPE_FLAG_ITER_IS_STREAM,
                         print, file_print, protocol, &fileio_stream, locals_dict, &file_locals);

static const mp_stream_p_t textio_stream = {
        .read = file_read,
        .write = file_write,
        .ioctl = file_ioctl,
        .is_text = true,
};

MP_DEFINE_CONST_OBJ_TYPE(flash_textio_type, MP_QSTR_TextIOWrapper, MP_TYPE_FLAG_ITER_IS_STREAM,
                         print, file_print, protocol, &textio_stream, locals_dict, &file_locals);
