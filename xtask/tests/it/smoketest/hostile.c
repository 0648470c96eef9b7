/* A static program in place of a loader or of systemd. It tries what confinement has to prevent, and prints what worked
   as a line that the link check takes for the loader's. The first argument of the compiler's -DTARGET is a file of the
   machine; -DMODE chooses between a report, a hang and output without end. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char report[4096] = "x: error while loading shared libraries: report";

static void add(const char *name, long value)
{
	char word[64];
	snprintf(word, sizeof word, " %s=%ld", name, value);
	strncat(report, word, sizeof report - strlen(report) - 1);
}

/* Out of a chroot: a second one below it, then up as far as it goes. */
static int escape(void)
{
	mkdir("/usr/.escape", 0700);
	int left = chroot("/usr/.escape") == 0;
	for (int i = 0; i < 64; i++)
		if (chdir(".."))
			break;
	return left && chroot(".") == 0;
}

int main(void)
{
	if (MODE == 1)
		for (;;)
			pause();
	static char block[65536];
	memset(block, 'x', sizeof block);
	if (MODE == 2)
		for (;;)
			if (write(1, block, sizeof block) < 0)
				return 1;
	/* What the caller had open. */
	int descriptors = 0;
	for (int i = 3; i < 1024; i++)
		descriptors += fcntl(i, F_GETFD) >= 0;
	add("descriptors", descriptors);
	add("uid", getuid());
	add("no_new_privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	add("capability", prctl(PR_CAPBSET_READ, 21, 0, 0, 0));
	add("pid", getpid() < 100);
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	add("fork", child > 0);
	add("namespace", unshare(CLONE_NEWUSER) == 0);
	add("mount", mount("tmpfs", "/usr", "tmpfs", 0, 0) == 0);
	add("segment", shmget(IPC_PRIVATE, 1 << 20, 0600) >= 0);
	add("semaphores", semget(IPC_PRIVATE, 1, 0600) >= 0);
	add("memory", mmap(0, 4ul << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	add("file", open("/usr/.file", O_CREAT | O_WRONLY, 0600) >= 0);
	int memory = syscall(SYS_memfd_create, "m", 0);
	signal(SIGXFSZ, SIG_IGN);
	add("memory_file", memory >= 0 && write(memory, block, sizeof block) > 0);
	add("escape", escape());
	add("target", open(TARGET, O_CREAT | O_WRONLY, 0644) >= 0);
	puts(report);
	if (getpid() == 1)
		for (int i = 0; i < 3; i++)
			sleep(1);
	return 1;
}
