/* SPDX-License-Identifier: MIT */
/* Why history is not on the disk, in words that say what to do. */
#include "history/trouble.h"

#include "util/macros.h"

typedef struct Trouble {
        int error;
        const char *what;
        const char *advice;
} Trouble;

static const Trouble troubles[] = {
        { -ENOSPC, "the disk is full", "Free some space; it goes back to the disk by itself." },
        { -EROFS, "the file system is read-only",
          "Look in dmesg for the reason and remount it writable; it goes back to the disk by "
          "itself." },
        { -EACCES, "mpyd may not write to it",
          "Check owner and mode of the file and its directory." },
        { -EPERM, "mpyd may not write to it", "Check owner, mode and lsattr of the file." },
        { -ENOENT, "its directory does not exist",
          "Create the state directory, writable for mpyd." },
        { -ENOTDIR, "its directory is not a directory", "Check the path of the state directory." },
        { -EIO, "the disk gives errors",
          "Look in dmesg, save what is on the disk and replace it (an SD card may be worn out)." },
        { -EBUSY, "another program keeps it locked", "Close what has it open (try fuser)." },
        { -ENOMEM, "there is too little memory", "See what uses the memory of this machine." },
        { -EBADMSG, "it was damaged again and again",
          "Check the disk and the file system (fsck)." },
        { -EPROTONOSUPPORT, "a newer mpyd wrote it",
          "It is left as it is: install that mpyd again, or move the file away and restart." },
};

static const Trouble *find(int error) {
        for (size_t i = 0; i < ELEMENTSOF(troubles); i++)
                if (troubles[i].error == error)
                        return &troubles[i];
        return NULL;
}

const char *trouble_what(int error) {
        const Trouble *t = find(error);

        return t ? t->what : strerrordesc_np(-error) ?: "it cannot be opened";
}

const char *trouble_advice(int error) {
        const Trouble *t = find(error);

        return t ? t->advice : "Check the state directory and its disk.";
}
