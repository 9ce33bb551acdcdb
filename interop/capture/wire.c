// Records what c-toxcore puts on the wire, with every secret needed to read it. Several Tox nodes
// live in this one process; the functions below take the place of libc's for libtoxcore, so that
// the network, the clock and (through libsodium's own hook) the randomness are ours. The same
// library version therefore gives the same bytes on every run and every machine.
//
// Output, one JSON object per line:
//   {"node":NAME,"ip4":..,"ip6":..,"port":..,"realKey":..,"realSecret":..,"dhtKey":..,"toxId":..}
//   {"at":MS,"from":NAME,"to":NAME,"lost":BOOL,"data":HEX}      a datagram
//   {"secret":HEX}                                             32 random bytes: a key, mostly
//   {"at":MS,"did":TEXT}                                       what the scenario did or saw
//   {"save":NAME,"plain":HEX,"sealed":HEX,"passphrase":TEXT,...}

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <tox/tox.h>
#include <tox/toxencryptsave.h>

uint32_t tox_version_number(void);

enum {
    HELPERS = 6,
    NODES = HELPERS + 2,
    ALICE = HELPERS,
    BOB = HELPERS + 1,
    STEP_MS = 10,
    LATENCY_MS = 20,
    EPOCH = 1700000000, // Unix seconds at virtual time zero
    WALL_UNTIL_MS = 75 * 1000, // Alice and Bob cannot reach each other directly before
    END_MS = 140 * 1000,
};

static uint64_t now_ms = 1000;

// ---------------------------------------------------------------- output

static void hex(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; ++i) {
        printf("%02x", data[i]);
    }
}

static void did(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("{\"at\":%llu,\"did\":\"", (unsigned long long)now_ms);
    vprintf(format, args);
    printf("\"}\n");
    va_end(args);
}

// ---------------------------------------------------------------- randomness

static uint64_t random_state = 0x546f786d61696c21;

static uint32_t next_random(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 32);
}

static void random_buffer(void *const buffer, const size_t size)
{
    uint8_t *bytes = (uint8_t *)buffer;

    for (size_t i = 0; i < size; ++i) {
        bytes[i] = (uint8_t)(next_random() >> 24);
    }

    if (size == 32) {
        printf("{\"secret\":\"");
        hex(bytes, size);
        printf("\"}\n");
    }
}

static const char *random_name(void)
{
    return "fixed sequence";
}

static struct randombytes_implementation fixed_sequence = {
    .implementation_name = random_name,
    .random = next_random,
    .buf = random_buffer,
};

// ---------------------------------------------------------------- clock

int clock_gettime(clockid_t clock, struct timespec *t)
{
    uint64_t seconds = clock == CLOCK_REALTIME ? EPOCH : 0;
    t->tv_sec = (time_t)(seconds + now_ms / 1000);
    t->tv_nsec = (long)(now_ms % 1000) * 1000000;
    return 0;
}

time_t time(time_t *t)
{
    time_t seconds = (time_t)(EPOCH + now_ms / 1000);

    if (t != NULL) {
        *t = seconds;
    }

    return seconds;
}

// ---------------------------------------------------------------- network

typedef struct Node {
    const char *name;
    struct in_addr ip4;
    struct in6_addr ip6;
    bool has_ip6;
    uint16_t port;
    int fd;
    Tox *tox;
} Node;

typedef struct Datagram {
    struct Datagram *next;
    uint64_t due;
    int from;
    int to;
    bool over_ip6;
    size_t size;
    uint8_t data[];
} Datagram;

static Node nodes[NODES];
static int creating; // which node the library opens a socket for
static Datagram *in_flight;
static Datagram **in_flight_end = &in_flight;

// While set, datagrams of Alice to Bob of this size and more get lost, however often she repeats them.
static size_t lost_size;

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
    nodes[creating].fd = fd;
    return 0;
}

static int node_at(const struct sockaddr *address, bool *over_ip6, char *text, size_t text_size)
{
    *over_ip6 = false;
    uint16_t port;
    struct in_addr ip4 = {0};
    const struct in6_addr *ip6 = NULL;

    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)address;
        ip4 = a->sin_addr;
        port = ntohs(a->sin_port);
        inet_ntop(AF_INET, &ip4, text, (socklen_t)text_size);
    } else {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)address;
        port = ntohs(a->sin6_port);
        inet_ntop(AF_INET6, &a->sin6_addr, text, (socklen_t)text_size);

        if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr)) {
            memcpy(&ip4, &a->sin6_addr.s6_addr[12], 4);
        } else {
            ip6 = &a->sin6_addr;
            *over_ip6 = true;
        }
    }

    for (int i = 0; i < NODES; ++i) {
        const Node *n = &nodes[i];
        bool same = ip6 != NULL ? n->has_ip6 && memcmp(&n->ip6, ip6, 16) == 0 : n->ip4.s_addr == ip4.s_addr;

        if (same && n->port == port) {
            return i;
        }
    }

    snprintf(text + strlen(text), text_size - strlen(text), " port %u", port);
    return -1;
}

static int node_of(int fd)
{
    for (int i = 0; i < NODES; ++i) {
        if (nodes[i].fd == fd) {
            return i;
        }
    }

    return -1;
}

static bool is_lost(int from, int to, const uint8_t *data, size_t size)
{
    bool between_the_two = (from == ALICE && to == BOB) || (from == BOB && to == ALICE);

    if (between_the_two && now_ms < WALL_UNTIL_MS) {
        return true;
    }

    if (from == ALICE && to == BOB && data[0] == 0x1b && lost_size > 0 && size >= lost_size) {
        return true;
    }

    return false;
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *address, socklen_t address_size)
{
    char text[96];
    bool over_ip6;
    int from = node_of(fd);
    int to = node_at(address, &over_ip6, text, sizeof text);
    bool lost = to < 0 || (over_ip6 && !nodes[from].has_ip6) || is_lost(from, to, (const uint8_t *)data, size);
    printf("{\"at\":%llu,\"from\":\"%s\",\"to\":\"%s\",\"lost\":%s,\"data\":\"", (unsigned long long)now_ms,
           nodes[from].name, to < 0 ? text : nodes[to].name, lost ? "true" : "false");
    hex((const uint8_t *)data, size);
    printf("\"}\n");

    if (!lost) {
        Datagram *d = (Datagram *)malloc(sizeof(Datagram) + size);
        *d = (Datagram) {
            .due = now_ms + LATENCY_MS, .from = from, .to = to, .over_ip6 = over_ip6, .size = size,
        };
        memcpy(d->data, data, size);
        *in_flight_end = d;
        in_flight_end = &d->next;
    }

    return (ssize_t)size;
}

ssize_t recvfrom(int fd, void *data, size_t room, int flags, struct sockaddr *address, socklen_t *address_size)
{
    int to = node_of(fd);

    for (Datagram **at = &in_flight; *at != NULL; at = &(*at)->next) {
        Datagram *d = *at;

        if (d->to != to || d->due > now_ms) {
            continue;
        }

        *at = d->next;

        if (in_flight_end == &d->next) {
            in_flight_end = at;
        }

        size_t size = d->size < room ? d->size : room;
        memcpy(data, d->data, size);
        const Node *from = &nodes[d->from];

        if (nodes[to].has_ip6) {
            struct sockaddr_in6 *a = (struct sockaddr_in6 *)address;
            *a = (struct sockaddr_in6) {
                .sin6_family = AF_INET6, .sin6_port = htons(from->port), .sin6_addr = from->ip6,
            };

            if (!d->over_ip6) {
                memset(&a->sin6_addr, 0, 10);
                memset(&a->sin6_addr.s6_addr[10], 0xff, 2);
                memcpy(&a->sin6_addr.s6_addr[12], &from->ip4, 4);
            }

            *address_size = sizeof *a;
        } else {
            struct sockaddr_in *a = (struct sockaddr_in *)address;
            *a = (struct sockaddr_in) {
                .sin_family = AF_INET, .sin_port = htons(from->port), .sin_addr = from->ip4
            };
            *address_size = sizeof *a;
        }

        free(d);
        return (ssize_t)size;
    }

    errno = EWOULDBLOCK;
    return -1;
}

// ---------------------------------------------------------------- the scenario

static const char *const names[NODES] = {"h0", "h1", "h2", "h3", "h4", "h5", "alice", "bob"};

static void start(int i)
{
    Node *n = &nodes[i];
    char ip4[32], ip6[64];
    n->name = names[i];
    n->has_ip6 = i >= 4 && i != ALICE;
    n->port = (uint16_t)(33445 + i);
    n->fd = -1;
    snprintf(ip4, sizeof ip4, "5.9.%d.%d", 10 + i, 1 + i); // addresses that c-toxcore takes for public ones
    snprintf(ip6, sizeof ip6, "2a01:4f8:%x::%x", 16 + i, 1 + i);
    inet_pton(AF_INET, ip4, &n->ip4);
    inet_pton(AF_INET6, ip6, &n->ip6);

    struct Tox_Options *options = tox_options_new(NULL);
    tox_options_set_ipv6_enabled(options, n->has_ip6);
    tox_options_set_local_discovery_enabled(options, i == ALICE);
    tox_options_set_start_port(options, n->port);
    tox_options_set_end_port(options, n->port);
    creating = i;
    n->tox = tox_new(options, NULL);
    tox_options_free(options);

    if (n->tox == NULL) {
        fprintf(stderr, "tox_new failed for %s\n", n->name);
        exit(1);
    }

    uint8_t address[TOX_ADDRESS_SIZE], dht_key[32], secret[32];
    tox_self_get_address(n->tox, address);
    tox_self_get_dht_id(n->tox, dht_key);
    tox_self_get_secret_key(n->tox, secret);
    printf("{\"node\":\"%s\",\"ip4\":\"%s\",", n->name, ip4);

    if (n->has_ip6) {
        printf("\"ip6\":\"%s\",", ip6);
    }

    printf("\"port\":%u,\"realKey\":\"", n->port);
    hex(address, 32);
    printf("\",\"realSecret\":\"");
    hex(secret, 32);
    printf("\",\"dhtKey\":\"");
    hex(dht_key, 32);
    printf("\",\"toxId\":\"");
    hex(address, sizeof address);
    printf("\"}\n");
}

static void bootstrap(int i, int from, bool over_ip6)
{
    char host[64];
    uint8_t dht_key[32];
    inet_ntop(over_ip6 ? AF_INET6 : AF_INET, over_ip6 ? (void *)&nodes[from].ip6 : (void *)&nodes[from].ip4, host,
              sizeof host);
    tox_self_get_dht_id(nodes[from].tox, dht_key);
    tox_bootstrap(nodes[i].tox, host, nodes[from].port, dht_key, NULL);
}

static uint8_t pattern[5000]; // what Alice's file holds

static void on_request(Tox *tox, const uint8_t *key, const uint8_t *message, size_t size, void *data)
{
    did("bob got a friend request: %.*s", (int)size, message);
    tox_friend_add_norequest(tox, key, NULL);
}

static void on_connection(Tox *tox, uint32_t number, Tox_Connection connection, void *data)
{
    did("%s sees the friend: %d", tox == nodes[ALICE].tox ? "alice" : "bob", (int)connection);
}

static void on_message(Tox *tox, uint32_t number, Tox_Message_Type type, const uint8_t *text, size_t size, void *data)
{
    if (size > 1 && size != 100) {
        did("bob got a message of %u bytes, type %d", (unsigned)size, (int)type);
    }
}

static void on_lossless(Tox *tox, uint32_t number, const uint8_t *packet, size_t size, void *data)
{
    did("bob got lossless %u %u of %u bytes", packet[0], packet[1], (unsigned)size);
}

static void on_file(Tox *tox, uint32_t number, uint32_t file, uint32_t kind, uint64_t size, const uint8_t *name,
                    size_t name_size, void *data)
{
    did("bob got the offer of file %u: %.*s, kind %u, %llu bytes", file >> 16, (int)name_size, name, kind,
        (unsigned long long)size);

    if (size == sizeof pattern) {
        tox_file_seek(tox, number, file, 1000, NULL);
        tox_file_control(tox, number, file, TOX_FILE_CONTROL_RESUME, NULL);
    } else {
        tox_file_control(tox, number, file, TOX_FILE_CONTROL_CANCEL, NULL);
    }
}

static void on_file_chunk(Tox *tox, uint32_t number, uint32_t file, uint64_t position, const uint8_t *data, size_t size,
                          void *user_data)
{
    did("bob got %u bytes of file %u at %llu", (unsigned)size, file >> 16, (unsigned long long)position);
}

static void on_chunk_request(Tox *tox, uint32_t number, uint32_t file, uint64_t position, size_t size, void *data)
{
    if (size > 0) {
        tox_file_send_chunk(tox, number, file, position, pattern + position, size, NULL);

        if (position == 1000) {
            did("alice pauses file %u", file);
            tox_file_control(tox, number, file, TOX_FILE_CONTROL_PAUSE, NULL);
        }
    } else {
        did("alice sent all of file %u", file);
    }
}

static void save(void)
{
    static const char passphrase[] = "correct horse";
    Tox *tox = nodes[ALICE].tox;
    size_t size = tox_get_savedata_size(tox);
    uint8_t *plain = (uint8_t *)calloc(1, size);
    uint8_t *sealed = (uint8_t *)calloc(1, size + TOX_PASS_ENCRYPTION_EXTRA_LENGTH);
    tox_get_savedata(tox, plain);
    tox_pass_encrypt(plain, size, (const uint8_t *)passphrase, strlen(passphrase), sealed, NULL);
    printf("{\"at\":%llu,\"save\":\"alice\",\"passphrase\":\"%s\",\"plain\":\"", (unsigned long long)now_ms, passphrase);
    hex(plain, size);
    printf("\",\"sealed\":\"");
    hex(sealed, size + TOX_PASS_ENCRYPTION_EXTRA_LENGTH);
    printf("\"}\n");
    free(plain);
    free(sealed);
}

// Messages, because c-toxcore does not hold those back when packets get lost.
static void send_bulk(void)
{
    for (int i = 0; i < 350; ++i) {
        uint8_t text[100] = {'b'};
        bool large = i == 0 || i == 300;
        tox_friend_send_message(nodes[ALICE].tox, 0, TOX_MESSAGE_TYPE_NORMAL, text, large ? sizeof text : 1, NULL);
    }
}

/** What happens at a moment after the two are online, in milliseconds since then. */
static void act(uint64_t since)
{
    Tox *alice = nodes[ALICE].tox;
    Tox *bob = nodes[BOB].tox;
    static uint8_t long_text[TOX_MAX_MESSAGE_LENGTH];
    static uint8_t packet[200];
    uint8_t file_id[32];
    uint8_t stranger[TOX_ADDRESS_SIZE];

    switch (since) {
        case 1000:
            tox_self_set_name(alice, (const uint8_t *)"Alice \xc3\xa9", 8, NULL);
            tox_self_set_status_message(alice, (const uint8_t *)"at work", 7, NULL);
            tox_self_set_status(alice, TOX_USER_STATUS_BUSY);
            tox_self_set_typing(alice, 0, true, NULL);
            break;

        case 2000:
            tox_friend_send_message(alice, 0, TOX_MESSAGE_TYPE_NORMAL, (const uint8_t *)"caf\xc3\xa9 \xf0\x9f\x90\xa2", 10, NULL);
            tox_friend_send_message(alice, 0, TOX_MESSAGE_TYPE_ACTION, (const uint8_t *)"waves", 5, NULL);
            memset(long_text, 'x', sizeof long_text);
            tox_friend_send_message(alice, 0, TOX_MESSAGE_TYPE_NORMAL, long_text, sizeof long_text, NULL);
            break;

        case 3000:
            memcpy(packet, "\xa0lossless", 9);
            tox_friend_send_lossless_packet(alice, 0, packet, 9, NULL);
            memcpy(packet, "\xc8lossy", 6);
            tox_friend_send_lossy_packet(alice, 0, packet, 6, NULL);
            break;

        case 4000:
            memset(file_id, 0xf1, sizeof file_id);
            tox_file_send(alice, 0, TOX_FILE_KIND_DATA, sizeof pattern, file_id, (const uint8_t *)"notes.txt", 9, NULL);
            break;

        case 5000:
            tox_file_control(alice, 0, 0, TOX_FILE_CONTROL_RESUME, NULL);
            break;

        case 6000:
            memset(file_id, 0xf2, sizeof file_id);
            tox_file_send(alice, 0, TOX_FILE_KIND_AVATAR, UINT64_MAX, file_id, NULL, 0, NULL);
            break;

        case 8000: // the second, third and sixth are large and get lost
            lost_size = 150;
            did("three of eight get lost");

            for (uint8_t i = 0; i < 8; ++i) {
                packet[0] = 161;
                packet[1] = i;
                tox_friend_send_lossless_packet(alice, 0, packet, i == 1 || i == 2 || i == 5 ? 150 + i : 20, NULL);
            }

            break;

        case 8100: // two repetitions later
            lost_size = 0;
            break;

        case 9000: // two losses so far apart that the request needs its byte for 255 present packets
            lost_size = 100;
            did("bulk begins");
            send_bulk();
            break;

        case 9300:
            lost_size = 0;
            did("bulk ends");
            break;

        case 11000:
            memset(stranger, 9, sizeof stranger); // a Tox ID of nobody
            stranger[0] = 0x42;
            stranger[36] = (uint8_t)(0x42 ^ 9);
            stranger[37] = 0;
            tox_friend_add(alice, stranger, (const uint8_t *)"are you there?", 14, NULL);
            save();
            break;

        case 12000:
            did("alice deletes bob");
            tox_friend_delete(alice, 0, NULL);
            break;

        case 13000:
            did("bob ends");
            tox_kill(bob);
            nodes[BOB].tox = NULL;
            break;

        default:
            break;
    }
}

int main(void)
{
    if (randombytes_set_implementation(&fixed_sequence) != 0 || sodium_init() < 0) {
        return 1;
    }

    for (size_t i = 0; i < sizeof pattern; ++i) {
        pattern[i] = (uint8_t)(i * 7 + i / 256);
    }

    printf("{\"source\":\"c-toxcore %u.%u.%u\"}\n", tox_version_major(), tox_version_minor(), tox_version_patch());

    for (int i = 0; i < NODES; ++i) {
        start(i);
    }

    for (int i = 1; i < NODES; ++i) {
        bootstrap(i, 0, false);

        if (nodes[i].has_ip6) {
            bootstrap(i, i == 4 ? 5 : 4, true);
        }
    }

    uint8_t bob_id[TOX_ADDRESS_SIZE];
    tox_self_get_address(nodes[BOB].tox, bob_id);
    tox_callback_friend_request(nodes[BOB].tox, on_request);
    tox_callback_friend_connection_status(nodes[BOB].tox, on_connection);
    tox_callback_friend_connection_status(nodes[ALICE].tox, on_connection);
    tox_callback_friend_message(nodes[BOB].tox, on_message);
    tox_callback_friend_lossless_packet(nodes[BOB].tox, on_lossless);
    tox_callback_file_recv(nodes[BOB].tox, on_file);
    tox_callback_file_recv_chunk(nodes[BOB].tox, on_file_chunk);
    tox_callback_file_chunk_request(nodes[ALICE].tox, on_chunk_request);

    uint64_t online_at = 0;

    for (; now_ms < END_MS; now_ms += STEP_MS) {
        if (now_ms == 3000) {
            static const char hello[] = "Hello Bob, it is Alice";
            did("alice adds bob: %s", hello);
            tox_friend_add(nodes[ALICE].tox, bob_id, (const uint8_t *)hello, strlen(hello), NULL);
        }

        if (online_at == 0 && nodes[BOB].tox != NULL
                && tox_friend_get_connection_status(nodes[ALICE].tox, 0, NULL) != TOX_CONNECTION_NONE) {
            online_at = now_ms;
        }

        if (online_at != 0) {
            act(now_ms - online_at);

            if (now_ms - online_at > 14000) {
                break;
            }
        }

        for (int i = 0; i < NODES; ++i) {
            if (nodes[i].tox != NULL) {
                tox_iterate(nodes[i].tox, NULL);
            }
        }
    }

    return online_at == 0;
}
