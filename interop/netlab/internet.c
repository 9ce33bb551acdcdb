// The internet of the laboratory: moves IPv4 packets between network namespaces, with delay, loss and rate for each
// line. Linux has netem for that, but not every kernel is built with it; TUN devices are everywhere.
//
// Reads commands as lines on stdin, answers each with one line: "ok", "ok TEXT" or "error TEXT".
//   line NAMESPACE DEVICE            makes a TUN device there; the answer is the line's number, from 0 up
//   address LINE A.B.C.D             packets to that address go to the line, and to no other any more
//   set LINE DELAY_US LOSS_PPM KBIT REPLAY_PPM
//       for each direction; KBIT 0 is unlimited; LOSS_PPM 1000000 is a cut line; REPLAY_PPM of the packets that arrive
//       come once more, REPLAY_NS later
//   flows                            all packets so far, for each pair: "FROM TO tcp|udp PACKETS BYTES;" ...
// End of input ends the program, and with it all its devices.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_LINES = 512,
    ADDRESS_SLOTS = 4096,       // open addressing; a power of two, far above MAX_LINES
    FLOW_SLOTS = 1 << 16,
    MAX_PACKET = 2048,
    MAX_IN_FLIGHT = 1 << 16,
    MAX_QUEUE_NS = 200000000,   // what a line with a rate holds back before it drops, as a home router does
    REPLAY_NS = 1500000000,     // while a session lives, when all around the packet has moved on
    STDIN_TAG = MAX_LINES,
};

typedef struct Direction {
    int64_t free_at;            // when the packets before this one have left
} Direction;

typedef struct Line {
    int fd;
    int64_t delay_ns;
    uint32_t loss_ppm;
    uint32_t kbit;
    uint32_t replay_ppm;
    Direction up, down;
} Line;

typedef struct Packet {
    int64_t due;
    uint64_t order;             // packets with one due time keep their order
    uint16_t line;
    uint16_t size;
    uint8_t data[];
} Packet;

typedef struct Flow {
    uint32_t from, to;
    uint8_t protocol;
    uint64_t packets, bytes;
} Flow;

static Line lines[MAX_LINES];
static int line_count;
static struct { uint32_t address; int line; } addresses[ADDRESS_SLOTS];
static Flow flows[FLOW_SLOTS];
static Packet *heap[MAX_IN_FLIGHT];
static int in_flight;
static uint64_t order;
static int epoll_fd;
static int home_namespace;

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// ---------------------------------------------------------------- packets on their way, earliest first

static bool earlier(const Packet *a, const Packet *b)
{
    return a->due < b->due || (a->due == b->due && a->order < b->order);
}

static void put(Packet *packet)
{
    int at = in_flight++;

    while (at > 0 && earlier(packet, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }

    heap[at] = packet;
}

static Packet *take(void)
{
    Packet *first = heap[0];
    Packet *last = heap[--in_flight];
    int at = 0;

    for (int child = 1; child < in_flight; child = 2 * at + 1) {
        if (child + 1 < in_flight && earlier(heap[child + 1], heap[child])) {
            ++child;
        }

        if (!earlier(heap[child], last)) {
            break;
        }

        heap[at] = heap[child];
        at = child;
    }

    heap[at] = last;
    return first;
}

static void deliver(int64_t now)
{
    while (in_flight > 0 && heap[0]->due <= now) {
        Packet *packet = take();
        ssize_t written = write(lines[packet->line].fd, packet->data, packet->size); // a device that is down loses it
        (void)written;
        free(packet);
    }
}

// ---------------------------------------------------------------- tables

// The slot of the address, or the free one where it belongs.
static int address_slot(uint32_t address)
{
    uint32_t at = address * 2654435761u % ADDRESS_SLOTS;

    while (addresses[at].address != 0 && addresses[at].address != address) {
        at = (at + 1) % ADDRESS_SLOTS;
    }

    return (int)at;
}

static void count(uint32_t from, uint32_t to, uint8_t protocol, size_t size)
{
    uint32_t at = (from * 2654435761u ^ to * 2246822519u ^ protocol) % FLOW_SLOTS;

    for (int tries = 0; tries < 64; ++tries, at = (at + 1) % FLOW_SLOTS) {
        Flow *flow = &flows[at];

        if (flow->packets == 0) {
            *flow = (Flow) {
                .from = from, .to = to, .protocol = protocol
            };
        } else if (flow->from != from || flow->to != to || flow->protocol != protocol) {
            continue;
        }

        ++flow->packets;
        flow->bytes += size;
        return;
    }
}

// ---------------------------------------------------------------- a packet through two lines

static bool chance(uint32_t ppm)
{
    return ppm > 0 && (uint32_t)(drand48() * 1e6) < ppm;
}

// When a packet that comes at `at` has left the line, or -1 if it is lost.
static int64_t pass(const Line *line, Direction *direction, int64_t at, size_t size)
{
    if (chance(line->loss_ppm)) {
        return -1;
    }

    if (line->kbit > 0) {
        int64_t start = direction->free_at > at ? direction->free_at : at;

        if (start - at > MAX_QUEUE_NS) {
            return -1;
        }

        at = direction->free_at = start + (int64_t)size * 8000000 / line->kbit;
    }

    return at + line->delay_ns;
}

static void send_later(int64_t due, const Line *to, const uint8_t *data, size_t size)
{
    if (in_flight == MAX_IN_FLIGHT) {
        return;
    }

    Packet *packet = malloc(sizeof(Packet) + size);
    packet->due = due;
    packet->order = order++;
    packet->line = (uint16_t)(to - lines);
    packet->size = (uint16_t)size;
    memcpy(packet->data, data, size);
    put(packet);
}

static void receive(Line *from, int64_t now)
{
    static uint8_t data[MAX_PACKET];

    for (int burst = 0; burst < 64; ++burst) {
        ssize_t size = read(from->fd, data, sizeof data);

        if (size < 0 && errno != EAGAIN && errno != EINTR) {
            epoll_ctl(epoll_fd, EPOLL_CTL_DEL, from->fd, NULL); // its namespace is gone
        }

        if (size <= 0) {
            return;
        }

        if (size < 20 || data[0] >> 4 != 4) {
            continue;
        }

        uint32_t source, target;
        memcpy(&source, data + 12, 4);
        memcpy(&target, data + 16, 4);
        count(source, target, data[9], (size_t)size);
        int slot = address_slot(target);

        if (addresses[slot].address == 0) {
            continue;
        }

        Line *to = &lines[addresses[slot].line];
        int64_t due = pass(from, &from->up, now, (size_t)size);

        if (due >= 0) {
            due = pass(to, &to->down, due, (size_t)size);
        }

        if (due < 0) {
            continue;
        }

        send_later(due, to, data, (size_t)size);

        if (chance(from->replay_ppm) || chance(to->replay_ppm)) {
            send_later(due + REPLAY_NS, to, data, (size_t)size);
        }
    }
}

// ---------------------------------------------------------------- commands

static void command_line(const char *name, const char *device)
{
    char path[256];
    snprintf(path, sizeof path, "/run/netns/%.200s", name);
    int namespace = open(path, O_RDONLY | O_CLOEXEC);
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%.15s", device);

    if (line_count == MAX_LINES || namespace < 0 || setns(namespace, CLONE_NEWNET) != 0) {
        printf("error no line to %s: %s\n", name, strerror(errno));
        return;
    }

    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int made = fd < 0 ? -1 : ioctl(fd, TUNSETIFF, &request);
    int cause = errno;
    setns(home_namespace, CLONE_NEWNET);
    close(namespace);

    if (made < 0) {
        printf("error no TUN device: %s\n", strerror(cause));
        return;
    }

    lines[line_count].fd = fd;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)line_count};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    printf("ok %d\n", line_count++);
}

static void command_address(int line, const char *text)
{
    struct in_addr address;

    if (inet_aton(text, &address) == 0 || address.s_addr == 0) {
        printf("error not an address: %s\n", text);
        return;
    }

    int slot = address_slot(address.s_addr);
    addresses[slot].address = address.s_addr;
    addresses[slot].line = line;
    printf("ok\n");
}

static void command_flows(void)
{
    printf("ok ");

    for (int i = 0; i < FLOW_SLOTS; ++i) {
        if (flows[i].packets > 0 && (flows[i].protocol == 6 || flows[i].protocol == 17)) {
            char from[INET_ADDRSTRLEN], to[INET_ADDRSTRLEN];
            inet_ntop(AF_INET, &flows[i].from, from, sizeof from);
            inet_ntop(AF_INET, &flows[i].to, to, sizeof to);
            printf("%s %s %s %llu %llu;", from, to, flows[i].protocol == 6 ? "tcp" : "udp",
                   (unsigned long long)flows[i].packets, (unsigned long long)flows[i].bytes);
        }
    }

    printf("\n");
}

static void execute(char *text)
{
    char first[256], second[64];
    int line;
    long delay_us;
    unsigned loss, kbit, replay;

    if (sscanf(text, "line %255s %15s", first, second) == 2) {
        command_line(first, second);
    } else if (sscanf(text, "address %d %63s", &line, second) == 2 && line >= 0 && line < line_count) {
        command_address(line, second);
    } else if (sscanf(text, "set %d %ld %u %u %u", &line, &delay_us, &loss, &kbit, &replay) == 5 && line >= 0
               && line < line_count) {
        lines[line].delay_ns = delay_us * 1000;
        lines[line].loss_ppm = loss;
        lines[line].kbit = kbit;
        lines[line].replay_ppm = replay;
        printf("ok\n");
    } else if (strcmp(text, "flows") == 0) {
        command_flows();
    } else {
        printf("error not a command: %s\n", text);
    }

    fflush(stdout);
}

static bool read_commands(void)
{
    static char input[4096];
    static size_t filled;
    ssize_t size = read(STDIN_FILENO, input + filled, sizeof input - filled);

    if (size <= 0) {
        return false;
    }

    filled += (size_t)size;

    for (char *end; (end = memchr(input, '\n', filled)) != NULL;) {
        size_t length = (size_t)(end - input) + 1;
        *end = 0;
        execute(input);
        filled -= length;
        memmove(input, input + length, filled);
    }

    return filled < sizeof input;
}

int main(void)
{
    home_namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = STDIN_TAG};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event);

    for (bool open = true; open;) {
        struct epoll_event ready[64];
        struct timespec wait = {0}, *limit = NULL;

        if (in_flight > 0) {
            int64_t left = heap[0]->due - now_ns();
            wait.tv_nsec = left > 0 ? left % 1000000000 : 0;
            wait.tv_sec = left > 0 ? left / 1000000000 : 0;
            limit = &wait;
        }

        int count_ready = epoll_pwait2(epoll_fd, ready, 64, limit, NULL);
        int64_t now = now_ns();

        for (int i = 0; i < count_ready; ++i) {
            if (ready[i].data.u32 == STDIN_TAG) {
                open = open && read_commands();
            } else {
                receive(&lines[ready[i].data.u32], now);
            }
        }

        deliver(now_ns());
    }

    return 0;
}
