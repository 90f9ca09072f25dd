/* Feeds a target files, or all files below folders, and nothing: a fuzzer's findings as a test that
 * needs no fuzzer.
 *   replay_TARGET [FILE|FOLDER]... */
#include "fuzz.h"
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

static unsigned count;

static void feed_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat info;
    if (!f || fstat(fileno(f), &info) < 0) {
        perror(path);
        exit(1);
    }
    uint8_t *data = malloc(info.st_size > 0 ? (size_t)info.st_size : 1);
    size_t size = data ? fread(data, 1, (size_t)info.st_size, f) : 0;
    fclose(f);
    fprintf(stderr, "%s\n", path); /* the last one is the one that did it */
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    count++;
}

static void feed(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder) {
        if (errno != ENOENT) /* a target without findings has no folder */
            feed_file(path);
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        feed(name);
    }
    closedir(folder);
}

int main(int argc, char **argv)
{
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++)
        feed(argv[i]);
    printf("%u files\n", count);
    return 0;
}
