// Calls functions that c-toxcore 0.2.18 does not export, from its static library, with fixed keys
// and countable "random" bytes, and prints inputs and results as one JSON document. The types and
// prototypes are stated here for exactly that version; `capture.ts` refuses any other.

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>
#include <tox/tox.h>

typedef struct Random_Funcs {
    void (*random_bytes)(void *object, uint8_t *bytes, size_t size);
    uint32_t (*random_uniform)(void *object, uint32_t bound);
} Random_Funcs;

typedef struct Random {
    const Random_Funcs *funcs;
    void *object;
} Random;

typedef struct Ip_Port {
    uint8_t family;
    union {
        uint8_t ip4[4];
        uint8_t ip6[16];
        uint64_t alignment[2];
    };
    uint16_t port; // network order
} Ip_Port;

typedef struct Node_Format {
    uint8_t public_key[32];
    Ip_Port ip_port;
} Node_Format;

typedef struct Onion_Path {
    uint8_t shared_key1[32], shared_key2[32], shared_key3[32];
    uint8_t public_key1[32], public_key2[32], public_key3[32];
    Ip_Port ip_port1;
    uint8_t node_public_key1[32];
    Ip_Port ip_port2;
    uint8_t node_public_key2[32];
    Ip_Port ip_port3;
    uint8_t node_public_key3[32];
    uint32_t path_num;
} Onion_Path;

int32_t encrypt_precompute(const uint8_t *public_key, const uint8_t *secret_key, uint8_t *shared_key);
int32_t encrypt_data_symmetric(const uint8_t *shared_key, const uint8_t *nonce, const uint8_t *plain, size_t size,
                               uint8_t *sealed);
void increment_nonce(uint8_t *nonce);
void increment_nonce_number(uint8_t *nonce, uint32_t increment);
uint16_t data_checksum(const uint8_t *data, uint32_t size);
int pack_nodes(const void *logger, uint8_t *data, uint16_t room, const Node_Format *nodes, uint16_t count);
int create_request(const Random *rng, const uint8_t *public_key, const uint8_t *secret_key, uint8_t *packet,
                   const uint8_t *receiver, const uint8_t *data, uint32_t size, uint8_t request_id);
int create_announce_request(const Random *rng, uint8_t *packet, uint16_t room, const uint8_t *dest_key,
                            const uint8_t *public_key, const uint8_t *secret_key, const uint8_t *ping_id,
                            const uint8_t *searched_key, const uint8_t *data_key, uint64_t sendback);
int create_data_request(const Random *rng, uint8_t *packet, uint16_t room, const uint8_t *public_key,
                        const uint8_t *data_key, const uint8_t *nonce, const uint8_t *data, uint16_t size);
int create_onion_packet(const Random *rng, uint8_t *packet, uint16_t room, const Onion_Path *path, const Ip_Port *dest,
                        const uint8_t *data, uint16_t size);

// ---------------------------------------------------------------- helpers

static uint8_t next_byte;

/** Counts on, so that every "random" value differs and all can be told. */
static void counted_bytes(void *object, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; ++i) {
        bytes[i] = next_byte++;
    }
}

static uint8_t last_secret[32];

static void counted_buffer(void *const bytes, const size_t size)
{
    counted_bytes(NULL, (uint8_t *)bytes, size);

    if (size == sizeof last_secret) {
        memcpy(last_secret, bytes, size);
    }
}

static const char *counted_name(void)
{
    return "counted";
}

static uint32_t counted_number(void)
{
    return next_byte++;
}

static struct randombytes_implementation counted_sodium = {
    .implementation_name = counted_name,
    .random = counted_number,
    .buf = counted_buffer,
};

static uint32_t lowest(void *object, uint32_t bound)
{
    return 0;
}

static const Random_Funcs counted_funcs = {counted_bytes, lowest};
static const Random counted = {&counted_funcs, NULL};

static void field(const char *name, const uint8_t *data, size_t size)
{
    printf("\"%s\":\"", name);

    for (size_t i = 0; i < size; ++i) {
        printf("%02x", data[i]);
    }

    printf("\"");
}

static void secret(uint8_t *key, uint8_t seed)
{
    for (int i = 0; i < 32; ++i) {
        key[i] = (uint8_t)(seed + i * 5);
    }
}

static void key_pair(uint8_t *public_key, uint8_t *secret_key, uint8_t seed)
{
    secret(secret_key, seed);
    crypto_scalarmult_base(public_key, secret_key);
}

static Ip_Port address(uint8_t family, const char *text, uint16_t port)
{
    uint8_t in_memory = family == 130 ? 12 : family == 138 ? 13 : family; // the library's own names for TCP
    Ip_Port a = {.family = in_memory, .port = htons(port)};
    bool ip4 = family == 2 || family == 130;
    inet_pton(ip4 ? AF_INET : AF_INET6, text, ip4 ? a.ip4 : a.ip6);
    return a;
}

// ---------------------------------------------------------------- vectors

static void boxes(void)
{
    printf("\"boxes\":[");

    for (uint8_t i = 0; i < 4; ++i) {
        uint8_t pk[32], sk[32], peer_pk[32], peer_sk[32], shared[32], nonce[24], plain[40], sealed[56];
        key_pair(pk, sk, (uint8_t)(1 + i));
        key_pair(peer_pk, peer_sk, (uint8_t)(101 + 3 * i));
        encrypt_precompute(peer_pk, sk, shared);
        counted_bytes(NULL, nonce, sizeof nonce);
        counted_bytes(NULL, plain, sizeof plain);
        size_t size = 1u + i * 13u;
        int sealed_size = encrypt_data_symmetric(shared, nonce, plain, size, sealed);
        printf("%s{", i > 0 ? "," : "");
        field("secretKey", sk, 32);
        printf(",");
        field("publicKey", pk, 32);
        printf(",");
        field("peerPublicKey", peer_pk, 32);
        printf(",");
        field("sharedKey", shared, 32);
        printf(",");
        field("nonce", nonce, sizeof nonce);
        printf(",");
        field("plain", plain, size);
        printf(",");
        field("box", sealed, (size_t)sealed_size);
        printf("}");
    }

    printf("]");
}

static void nonces(void)
{
    static const uint32_t increments[] = {1, 2, 255, 256, 65535, 65536, 0xffffffff};
    printf(",\"nonces\":[");

    for (size_t i = 0; i < 2 * sizeof increments / sizeof increments[0]; ++i) {
        uint8_t nonce[24];
        memset(nonce, i % 2 == 0 ? 0xff : 0xfe, sizeof nonce);
        printf("%s{", i > 0 ? "," : "");
        field("before", nonce, sizeof nonce);
        printf(",\"add\":%u,", increments[i / 2]);

        if (increments[i / 2] == 1) {
            increment_nonce(nonce);
        } else {
            increment_nonce_number(nonce, increments[i / 2]);
        }

        field("after", nonce, sizeof nonce);
        printf("}");
    }

    printf("]");
}

static void checksums(void)
{
    printf(",\"checksums\":[");

    for (int i = 0; i < 4; ++i) {
        uint8_t data[36];

        for (int j = 0; j < 36; ++j) {
            data[j] = (uint8_t)(i == 0 ? 7 * j + 1 : i == 1 ? 0 : i == 2 ? 0xff * (j % 2) : j * j * 31 + 5);
        }

        uint16_t sum = data_checksum(data, sizeof data);
        printf("%s{", i > 0 ? "," : "");
        field("data", data, sizeof data);
        printf(",");
        field("checksum", (const uint8_t *)&sum, 2);
        printf("}");
    }

    printf("]");
}

static void packed_nodes(void)
{
    static const struct {
        uint8_t family;
        const char *ip;
        uint16_t port;
    } rows[] = {
        {2, "192.0.2.33", 33445}, {10, "2001:db8::1:2", 1}, {130, "198.51.100.7", 443}, {138, "fe80::abcd", 65535},
        {10, "102:304:506:708:90a:b0c:d0e:f10", 258},
    };
    Node_Format nodes[5];
    uint8_t out[5 * 51];
    printf(",\"nodes\":[");

    for (uint8_t i = 0; i <= 5; ++i) { // the last row has all of them in one list
        int size;

        if (i < 5) {
            uint8_t sk[32];
            memset(&nodes[i], 0, sizeof nodes[i]);
            key_pair(nodes[i].public_key, sk, (uint8_t)(40 + i));
            nodes[i].ip_port = address(rows[i].family, rows[i].ip, rows[i].port);
            size = pack_nodes(NULL, out, sizeof out, &nodes[i], 1);
        } else {
            size = pack_nodes(NULL, out, sizeof out, nodes, 5);
        }

        printf("%s{\"nodes\":[", i > 0 ? "," : "");

        for (int j = i < 5 ? i : 0; j < (i < 5 ? i + 1 : 5); ++j) {
            bool tcp = rows[j].family > 100;
            printf("%s{\"transport\":\"%s\",\"ip\":\"%s\",\"port\":%u,", i == 5 && j > 0 ? "," : "", tcp ? "tcp" : "udp",
                   rows[j].ip, rows[j].port);
            field("publicKey", nodes[j].public_key, 32);
            printf("}");
        }

        printf("],");
        field("bytes", out, (size_t)size);
        printf("}");
    }

    printf("]");
}

static void requests(void)
{
    uint8_t pk[32], sk[32], peer_pk[32], peer_sk[32], packet[2048], data[1000];
    static const uint16_t sizes[] = {9, 1, 100, 918};
    key_pair(pk, sk, 60);
    key_pair(peer_pk, peer_sk, 61);
    counted_bytes(NULL, data, sizeof data);
    printf(",\"dhtRequests\":{");
    field("senderSecret", sk, 32);
    printf(",");
    field("receiverSecret", peer_sk, 32);
    printf(",\"packets\":[");

    for (int i = 0; i < 4; ++i) {
        uint8_t id = i == 0 ? 0xfe : 0x9c;
        int size = create_request(&counted, pk, sk, packet, peer_pk, data, sizes[i], id);
        printf("%s{\"id\":%u,", i > 0 ? "," : "", id);
        field("data", data, sizes[i]);
        printf(",");
        field("packet", packet, (size_t)size);
        printf("}");
    }

    printf("]}");
}

static void onion(void)
{
    uint8_t keys[12][32], secrets[12][32], ping_id[32], nonce[24], packet[1500], onion_packet[1500], zeros[32] = {0};
    Onion_Path path = {.path_num = 1};
    static const char *const ips[] = {"203.0.113.1", "2001:db8:5::77", "198.51.100.3", "192.0.2.9"};
    Ip_Port addresses[4];

    for (uint8_t i = 0; i < 12; ++i) {
        key_pair(keys[i], secrets[i], (uint8_t)(80 + i));
    }

    for (uint16_t i = 0; i < 4; ++i) {
        addresses[i] = address(i == 1 ? 10 : 2, ips[i], (uint16_t)(4000 + i));
    }

    // 0 our DHT key, 1 2 the path's keys, 3 4 5 the hops, 6 the destination, 7 our real key, 8 data key, 9 temporary
    memcpy(path.public_key1, keys[0], 32);
    memcpy(path.public_key2, keys[1], 32);
    memcpy(path.public_key3, keys[2], 32);
    memcpy(path.node_public_key1, keys[3], 32);
    memcpy(path.node_public_key2, keys[4], 32);
    memcpy(path.node_public_key3, keys[5], 32);
    encrypt_precompute(keys[3], secrets[0], path.shared_key1);
    encrypt_precompute(keys[4], secrets[1], path.shared_key2);
    encrypt_precompute(keys[5], secrets[2], path.shared_key3);
    path.ip_port1 = addresses[0];
    path.ip_port2 = addresses[1];
    path.ip_port3 = addresses[2];
    memset(ping_id, 0x3c, sizeof ping_id);

    printf(",\"onion\":{\"hops\":[\"%s\",\"%s\",\"%s\"],\"destination\":\"%s\",\"ports\":[4000,4001,4002,4003],", ips[0],
           ips[1], ips[2], ips[3]);
    static const char *const names[] = {"dhtSecret", "pathSecret2", "pathSecret3", "hopSecret1", "hopSecret2",
                                        "hopSecret3", "destinationSecret", "realSecret", "dataSecret",
                                        "temporarySecret", "friendSecret"
                                       };

    for (int i = 0; i < 11; ++i) {
        field(names[i], secrets[i], 32);
        printf(",");
    }

    field("pingId", ping_id, 32);
    printf(",");

    uint64_t sendback;
    memcpy(&sendback, "sendback", 8);
    int size = create_announce_request(&counted, packet, sizeof packet, keys[6], keys[7], secrets[7], ping_id, keys[7],
                                       keys[8], sendback);
    field("announceRequest", packet, (size_t)size);
    printf(",");
    int onion_size = create_onion_packet(&counted, onion_packet, sizeof onion_packet, &path, &addresses[3], packet,
                                         (uint16_t)size);
    field("announceRequestInOnion", onion_packet, (size_t)onion_size);
    printf(",");

    size = create_announce_request(&counted, packet, sizeof packet, keys[6], keys[9], secrets[9], zeros, keys[10], zeros,
                                   sendback);
    field("searchRequest", packet, (size_t)size);
    printf(",");

    counted_bytes(NULL, nonce, sizeof nonce);
    static const uint8_t data[] = "what the friend will open";
    size = create_data_request(&counted, packet, sizeof packet, keys[10], keys[8], nonce, data, sizeof data - 1);
    printf("\"data\":\"%s\",", (const char *)data);
    field("dataRequest", packet, (size_t)size);
    printf(",");
    field("dataRequestSecret", last_secret, 32);
    printf("}");
}

int main(void)
{
    if (randombytes_set_implementation(&counted_sodium) != 0 || sodium_init() < 0) {
        return 1;
    }

    printf("{\"source\":\"c-toxcore %u.%u.%u\",", tox_version_major(), tox_version_minor(), tox_version_patch());
    boxes();
    nonces();
    checksums();
    packed_nodes();
    requests();
    onion();
    printf("}\n");
    return 0;
}
