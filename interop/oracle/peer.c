// A c-toxcore peer for tests: reads commands as lines on stdin, answers and reports as JSON lines
// on stdout. One Tox instance per process. `oracle.ts` is the typed client of this program.
//
//   input   ID COMMAND ARG...      arguments separated by single spaces; texts and data in hex
//   answer  {"re":ID,...}          or {"re":ID,"error":"..."}
//   event   {"event":"NAME",...}   friends are named by their public key in upper-case hex
//
// End of input means: tox_kill and exit, so a peer never outlives its test.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tox/tox.h>
#include <tox/toxencryptsave.h>

enum {
    MAX_LINE = 1 << 16,
    MAX_ARGS = 16,
    MAX_FILES = 512,         // both directions together
    BUSY_POLL_MS = 1,        // while a file moves or a packet waits: c-toxcore asks for 128 chunks per iterate
    IDLE_POLL_MS = 4,
    PROGRESS_STEP = 1 << 17, // bytes between two file-progress events
};

static Tox *tox;
static bool running = true;

// ---------------------------------------------------------------- output

static char *hex(const uint8_t *data, size_t size)
{
    static char buffers[4][2 * MAX_LINE + 1]; // four texts may stand in one line
    static unsigned next;
    char *out = buffers[next++ % 4];

    for (size_t i = 0; i < size; ++i) {
        sprintf(out + 2 * i, "%02X", data[i]);
    }

    out[2 * size] = 0;
    return out;
}

static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static char *friend_key(uint32_t number)
{
    uint8_t key[TOX_PUBLIC_KEY_SIZE] = {0};
    tox_friend_get_public_key(tox, number, key, NULL);
    return hex(key, sizeof key);
}

// ---------------------------------------------------------------- input

static size_t unhex(const char *text, uint8_t *out, size_t room)
{
    size_t size = strlen(text) / 2;

    for (size_t i = 0; i < size && i < room; ++i) {
        unsigned byte = 0;
        sscanf(text + 2 * i, "%2x", &byte);
        out[i] = (uint8_t)byte;
    }

    return size < room ? size : room;
}

static bool find_friend(const char *key_hex, uint32_t *number)
{
    uint8_t key[TOX_PUBLIC_KEY_SIZE];
    Tox_Err_Friend_By_Public_Key err;
    unhex(key_hex, key, sizeof key);
    *number = tox_friend_by_public_key(tox, key, &err);
    return err == TOX_ERR_FRIEND_BY_PUBLIC_KEY_OK;
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");

    if (f == NULL) {
        return NULL;
    }

    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = (uint8_t *)malloc(*size + 1);

    if (fread(data, 1, *size, f) != *size) {
        free(data);
        data = NULL;
    }

    fclose(f);
    return data;
}

// ---------------------------------------------------------------- files

typedef struct Transfer {
    bool used;
    bool sending;
    bool moving;       // accepted and neither side paused it, as far as we know
    uint32_t friend_number;
    uint32_t file_number;
    int fd;            // -1: received data is thrown away
    uint64_t size;
    uint64_t moved;    // highest position reached
    uint64_t reported;
} Transfer;

static Transfer transfers[MAX_FILES];

static Transfer *transfer(uint32_t friend_number, uint32_t file_number)
{
    for (int i = 0; i < MAX_FILES; ++i) {
        Transfer *t = &transfers[i];

        if (t->used && t->friend_number == friend_number && t->file_number == file_number) {
            return t;
        }
    }

    return NULL;
}

static Transfer *new_transfer(uint32_t friend_number, uint32_t file_number, bool sending, uint64_t size)
{
    for (int i = 0; i < MAX_FILES; ++i) {
        if (!transfers[i].used) {
            transfers[i] = (Transfer) {
                .used = true, .sending = sending, .friend_number = friend_number,
                .file_number = file_number, .fd = -1, .size = size,
            };
            return &transfers[i];
        }
    }

    return NULL;
}

static void end_transfer(Transfer *t, const char *event)
{
    if (t->fd >= 0) {
        close(t->fd);
    }

    t->used = false;
    say("{\"event\":\"%s\",\"friend\":\"%s\",\"file\":%u,\"sending\":%s,\"moved\":%llu}", event,
        friend_key(t->friend_number), t->file_number, t->sending ? "true" : "false", (unsigned long long)t->moved);
}

static void progress(Transfer *t, uint64_t moved)
{
    if (moved > t->moved) {
        t->moved = moved;
    }

    if (t->moved >= t->reported + PROGRESS_STEP) {
        t->reported = t->moved;
        say("{\"event\":\"file-progress\",\"friend\":\"%s\",\"file\":%u,\"sending\":%s,\"moved\":%llu}",
            friend_key(t->friend_number), t->file_number, t->sending ? "true" : "false",
            (unsigned long long)t->moved);
    }
}

static bool any_transfer_moving(void)
{
    for (int i = 0; i < MAX_FILES; ++i) {
        if (transfers[i].used && transfers[i].moving) {
            return true;
        }
    }

    return false;
}

static void on_file_offer(Tox *t, uint32_t number, uint32_t file, uint32_t kind, uint64_t size, const uint8_t *name,
                          size_t name_size, void *data)
{
    uint8_t id[TOX_FILE_ID_LENGTH] = {0};
    tox_file_get_file_id(t, number, file, id, NULL);
    new_transfer(number, file, false, size);
    say("{\"event\":\"file-offer\",\"friend\":\"%s\",\"file\":%u,\"kind\":%u,\"size\":\"%llu\",\"name\":\"%s\",\"id\":\"%s\"}",
        friend_key(number), file, kind, (unsigned long long)size, hex(name, name_size), hex(id, sizeof id));
}

static void on_file_chunk(Tox *t, uint32_t number, uint32_t file, uint64_t position, const uint8_t *bytes, size_t size,
                          void *data)
{
    Transfer *f = transfer(number, file);

    if (f == NULL) {
        return;
    }

    if (size == 0) {
        end_transfer(f, "file-received");
        return;
    }

    if (f->fd >= 0 && pwrite(f->fd, bytes, size, (off_t)position) != (ssize_t)size) {
        say("{\"event\":\"error\",\"text\":\"cannot write the received file\"}");
    }

    progress(f, position + size);
}

static void on_chunk_request(Tox *t, uint32_t number, uint32_t file, uint64_t position, size_t size, void *data)
{
    static uint8_t chunk[2048];
    Transfer *f = transfer(number, file);

    if (f == NULL) {
        return;
    }

    if (size == 0) {
        end_transfer(f, "file-sent");
        return;
    }

    ssize_t got = pread(f->fd, chunk, size, (off_t)position);
    f->moving = true;
    tox_file_send_chunk(t, number, file, position, chunk, got > 0 ? (size_t)got : 0, NULL);
    progress(f, position + (got > 0 ? (uint64_t)got : 0));
}

static const char *const control_names[] = {"resume", "pause", "cancel"};

static void on_file_control(Tox *t, uint32_t number, uint32_t file, Tox_File_Control control, void *data)
{
    Transfer *f = transfer(number, file);
    say("{\"event\":\"file-control\",\"friend\":\"%s\",\"file\":%u,\"control\":\"%s\"}", friend_key(number), file,
        control_names[control]);

    if (f == NULL) {
        return;
    }

    f->moving = control == TOX_FILE_CONTROL_RESUME;

    if (control == TOX_FILE_CONTROL_CANCEL) {
        end_transfer(f, "file-broken");
    }
}

// ---------------------------------------------------------------- other events

static const char *const connection_names[] = {"none", "tcp", "udp"};

static void on_self_connection(Tox *t, Tox_Connection status, void *data)
{
    say("{\"event\":\"self-connection\",\"connection\":\"%s\"}", connection_names[status]);
}

static void on_friend_connection(Tox *t, uint32_t number, Tox_Connection status, void *data)
{
    say("{\"event\":\"friend-connection\",\"friend\":\"%s\",\"connection\":\"%s\"}", friend_key(number),
        connection_names[status]);

    for (int i = 0; status == TOX_CONNECTION_NONE && i < MAX_FILES; ++i) {
        if (transfers[i].used && transfers[i].friend_number == number) {
            end_transfer(&transfers[i], "file-broken");
        }
    }
}

static void on_friend_request(Tox *t, const uint8_t *key, const uint8_t *message, size_t size, void *data)
{
    say("{\"event\":\"friend-request\",\"friend\":\"%s\",\"message\":\"%s\"}", hex(key, TOX_PUBLIC_KEY_SIZE),
        hex(message, size));
}

static void on_message(Tox *t, uint32_t number, Tox_Message_Type type, const uint8_t *message, size_t size, void *data)
{
    say("{\"event\":\"message\",\"friend\":\"%s\",\"action\":%s,\"text\":\"%s\"}", friend_key(number),
        type == TOX_MESSAGE_TYPE_ACTION ? "true" : "false", hex(message, size));
}

static void on_receipt(Tox *t, uint32_t number, uint32_t id, void *data)
{
    say("{\"event\":\"receipt\",\"friend\":\"%s\",\"message\":%u}", friend_key(number), id);
}

static void on_name(Tox *t, uint32_t number, const uint8_t *name, size_t size, void *data)
{
    say("{\"event\":\"name\",\"friend\":\"%s\",\"text\":\"%s\"}", friend_key(number), hex(name, size));
}

static void on_status_message(Tox *t, uint32_t number, const uint8_t *text, size_t size, void *data)
{
    say("{\"event\":\"status-message\",\"friend\":\"%s\",\"text\":\"%s\"}", friend_key(number), hex(text, size));
}

static void on_status(Tox *t, uint32_t number, Tox_User_Status status, void *data)
{
    say("{\"event\":\"status\",\"friend\":\"%s\",\"status\":%d}", friend_key(number), (int)status);
}

static void on_typing(Tox *t, uint32_t number, bool typing, void *data)
{
    say("{\"event\":\"typing\",\"friend\":\"%s\",\"typing\":%s}", friend_key(number), typing ? "true" : "false");
}

static void on_lossless(Tox *t, uint32_t number, const uint8_t *packet, size_t size, void *data)
{
    say("{\"event\":\"lossless\",\"friend\":\"%s\",\"data\":\"%s\"}", friend_key(number), hex(packet, size));
}

static void on_lossy(Tox *t, uint32_t number, const uint8_t *packet, size_t size, void *data)
{
    say("{\"event\":\"lossy\",\"friend\":\"%s\",\"data\":\"%s\"}", friend_key(number), hex(packet, size));
}

// ---------------------------------------------------------------- packets that wait for room

typedef struct Waiting {
    struct Waiting *next;
    char *id;
    uint32_t friend_number;
    size_t size;
    uint8_t data[];
} Waiting;

static Waiting *waiting_first;
static Waiting **waiting_last = &waiting_first;

static void send_waiting(void)
{
    while (waiting_first != NULL) {
        Waiting *w = waiting_first;
        Tox_Err_Friend_Custom_Packet err;
        tox_friend_send_lossless_packet(tox, w->friend_number, w->data, w->size, &err);

        if (err == TOX_ERR_FRIEND_CUSTOM_PACKET_SENDQ) {
            return;
        }

        if (err == TOX_ERR_FRIEND_CUSTOM_PACKET_OK) {
            say("{\"re\":%s}", w->id);
        } else {
            say("{\"re\":%s,\"error\":\"custom packet error %d\"}", w->id, err);
        }

        waiting_first = w->next;

        if (waiting_first == NULL) {
            waiting_last = &waiting_first;
        }

        free(w->id);
        free(w);
    }
}

// ---------------------------------------------------------------- commands

static const char *option(char **args, int count, const char *name)
{
    size_t size = strlen(name);

    for (int i = 0; i < count; ++i) {
        if (strncmp(args[i], name, size) == 0 && args[i][size] == '=') {
            return args[i] + size + 1;
        }
    }

    return NULL;
}

static long number_option(char **args, int count, const char *name, long fallback)
{
    const char *text = option(args, count, name);
    return text == NULL ? fallback : atol(text);
}

// new [udp=1] [ipv6=0] [port=N] [tcp=N] [hole=0] [lan=0] [save=PATH [pass=HEX]] [secret=HEX]
static const char *command_new(char **args, int count)
{
    static char error[64];
    struct Tox_Options *options = tox_options_new(NULL);
    long port = number_option(args, count, "port", 0);
    const char *path = option(args, count, "save");
    const char *secret = option(args, count, "secret");
    const char *pass = option(args, count, "pass");
    uint8_t *save = NULL;
    size_t save_size = 0;
    uint8_t secret_key[TOX_SECRET_KEY_SIZE];

    tox_options_set_udp_enabled(options, number_option(args, count, "udp", 1) != 0);
    tox_options_set_ipv6_enabled(options, number_option(args, count, "ipv6", 0) != 0);
    tox_options_set_local_discovery_enabled(options, number_option(args, count, "lan", 0) != 0);
    tox_options_set_hole_punching_enabled(options, number_option(args, count, "hole", 0) != 0);
    tox_options_set_start_port(options, (uint16_t)port);
    tox_options_set_end_port(options, (uint16_t)port);
    tox_options_set_tcp_port(options, (uint16_t)number_option(args, count, "tcp", 0));

    if (path != NULL) {
        save = read_file(path, &save_size);

        if (save == NULL) {
            return "cannot read the save file";
        }

        if (pass != NULL) {
            uint8_t passphrase[256];
            size_t passphrase_size = unhex(pass, passphrase, sizeof passphrase);
            uint8_t *plain = (uint8_t *)malloc(save_size);

            if (!tox_is_data_encrypted(save)
                    || !tox_pass_decrypt(save, save_size, passphrase, passphrase_size, plain, NULL)) {
                return "cannot decrypt the save file";
            }

            save = plain;
            save_size -= TOX_PASS_ENCRYPTION_EXTRA_LENGTH;
        }

        tox_options_set_savedata_type(options, TOX_SAVEDATA_TYPE_TOX_SAVE);
        tox_options_set_savedata_data(options, save, save_size);
    } else if (secret != NULL) {
        unhex(secret, secret_key, sizeof secret_key);
        tox_options_set_savedata_type(options, TOX_SAVEDATA_TYPE_SECRET_KEY);
        tox_options_set_savedata_data(options, secret_key, sizeof secret_key);
    }

    Tox_Err_New err;
    tox = tox_new(options, &err);
    tox_options_free(options);
    free(save);

    if (tox == NULL || err != TOX_ERR_NEW_OK) {
        snprintf(error, sizeof error, "tox_new error %d", err);
        return error;
    }

    tox_callback_self_connection_status(tox, on_self_connection);
    tox_callback_friend_connection_status(tox, on_friend_connection);
    tox_callback_friend_request(tox, on_friend_request);
    tox_callback_friend_message(tox, on_message);
    tox_callback_friend_read_receipt(tox, on_receipt);
    tox_callback_friend_name(tox, on_name);
    tox_callback_friend_status_message(tox, on_status_message);
    tox_callback_friend_status(tox, on_status);
    tox_callback_friend_typing(tox, on_typing);
    tox_callback_friend_lossless_packet(tox, on_lossless);
    tox_callback_friend_lossy_packet(tox, on_lossy);
    tox_callback_file_recv(tox, on_file_offer);
    tox_callback_file_recv_chunk(tox, on_file_chunk);
    tox_callback_file_chunk_request(tox, on_chunk_request);
    tox_callback_file_recv_control(tox, on_file_control);
    return NULL;
}

static void command_info(const char *id)
{
    uint8_t address[TOX_ADDRESS_SIZE], dht_id[TOX_PUBLIC_KEY_SIZE], secret[TOX_SECRET_KEY_SIZE];
    static uint8_t name[TOX_MAX_NAME_LENGTH], text[TOX_MAX_STATUS_MESSAGE_LENGTH];
    tox_self_get_name(tox, name);
    tox_self_get_status_message(tox, text);
    tox_self_get_address(tox, address);
    tox_self_get_dht_id(tox, dht_id);
    tox_self_get_secret_key(tox, secret);
    printf("{\"re\":%s,\"toxId\":\"%s\",\"dhtKey\":\"%s\",\"secretKey\":\"%s\",\"udpPort\":%u,\"connection\":\"%s\",", id,
        hex(address, sizeof address), hex(dht_id, sizeof dht_id), hex(secret, sizeof secret),
        tox_self_get_udp_port(tox, NULL), connection_names[tox_self_get_connection_status(tox)]);
    say("\"name\":\"%s\",\"statusMessage\":\"%s\",\"status\":%d}", hex(name, tox_self_get_name_size(tox)),
        hex(text, tox_self_get_status_message_size(tox)), (int)tox_self_get_status(tox));
}

static void command_friends(const char *id)
{
    size_t count = tox_self_get_friend_list_size(tox);
    uint32_t *list = (uint32_t *)calloc(count + 1, sizeof(uint32_t));
    tox_self_get_friend_list(tox, list);
    printf("{\"re\":%s,\"friends\":[", id);

    for (size_t i = 0; i < count; ++i) {
        static uint8_t name[TOX_MAX_NAME_LENGTH], text[TOX_MAX_STATUS_MESSAGE_LENGTH];
        size_t name_size = tox_friend_get_name_size(tox, list[i], NULL);
        size_t text_size = tox_friend_get_status_message_size(tox, list[i], NULL);
        tox_friend_get_name(tox, list[i], name, NULL);
        tox_friend_get_status_message(tox, list[i], text, NULL);
        printf("%s{\"key\":\"%s\",\"name\":\"%s\",\"statusMessage\":\"%s\",\"status\":%d,\"connection\":\"%s\",\"lastOnline\":%llu}",
               i > 0 ? "," : "", friend_key(list[i]), hex(name, name_size), hex(text, text_size),
               (int)tox_friend_get_status(tox, list[i], NULL),
               connection_names[tox_friend_get_connection_status(tox, list[i], NULL)],
               (unsigned long long)tox_friend_get_last_online(tox, list[i], NULL));
    }

    free(list);
    say("]}");
}

static const char *command_save(char **args, int count)
{
    size_t size = tox_get_savedata_size(tox);
    uint8_t *save = (uint8_t *)malloc(size);
    tox_get_savedata(tox, save);

    if (count > 1) {
        uint8_t passphrase[256];
        size_t passphrase_size = unhex(args[1], passphrase, sizeof passphrase);
        uint8_t *sealed = (uint8_t *)malloc(size + TOX_PASS_ENCRYPTION_EXTRA_LENGTH);

        if (!tox_pass_encrypt(save, size, passphrase, passphrase_size, sealed, NULL)) {
            return "cannot encrypt";
        }

        free(save);
        save = sealed;
        size += TOX_PASS_ENCRYPTION_EXTRA_LENGTH;
    }

    FILE *f = fopen(args[0], "wb");
    bool written = f != NULL && fwrite(save, 1, size, f) == size;
    free(save);

    if (f != NULL) {
        written = fclose(f) == 0 && written;
    }

    return written ? NULL : "cannot write the save file";
}

// file-send KEY KIND PATH NAME [FILE-ID]
static void command_file_send(const char *id, uint32_t number, char **args, int count)
{
    struct stat info;
    uint8_t name[TOX_MAX_FILENAME_LENGTH], file_id[TOX_FILE_ID_LENGTH];
    size_t name_size = unhex(args[3], name, sizeof name);
    int fd = open(args[2], O_RDONLY);

    if (fd < 0 || fstat(fd, &info) != 0) {
        say("{\"re\":%s,\"error\":\"cannot open the file\"}", id);
        return;
    }

    if (count > 4) {
        unhex(args[4], file_id, sizeof file_id);
    }

    Tox_Err_File_Send err;
    uint32_t file = tox_file_send(tox, number, (uint32_t)atol(args[1]), (uint64_t)info.st_size,
                                  count > 4 ? file_id : NULL, name, name_size, &err);

    if (err != TOX_ERR_FILE_SEND_OK) {
        close(fd);
        say("{\"re\":%s,\"error\":\"tox_file_send error %d\"}", id, err);
        return;
    }

    tox_file_get_file_id(tox, number, file, file_id, NULL);
    new_transfer(number, file, true, (uint64_t)info.st_size)->fd = fd;
    say("{\"re\":%s,\"file\":%u,\"id\":\"%s\"}", id, file, hex(file_id, sizeof file_id));
}

static const char *file_control(uint32_t number, uint32_t file, Tox_File_Control control)
{
    static char error[64];
    Tox_Err_File_Control err;
    Transfer *t = transfer(number, file);

    if (!tox_file_control(tox, number, file, control, &err)) {
        snprintf(error, sizeof error, "tox_file_control error %d", err);
        return error;
    }

    if (t != NULL) {
        t->moving = control == TOX_FILE_CONTROL_RESUME;

        if (control == TOX_FILE_CONTROL_CANCEL) {
            end_transfer(t, "file-broken");
        }
    }

    return NULL;
}

// file-accept KEY FILE PATH|- [POSITION]: keeps what the file holds before POSITION
static const char *command_file_accept(uint32_t number, char **args, int count)
{
    uint32_t file = (uint32_t)atol(args[1]);
    uint64_t position = count > 3 ? strtoull(args[3], NULL, 10) : 0;
    Transfer *t = transfer(number, file);

    if (t == NULL) {
        return "no such file";
    }

    if (strcmp(args[2], "-") != 0) {
        t->fd = open(args[2], O_RDWR | O_CREAT | (position > 0 ? 0 : O_TRUNC), 0600);

        if (t->fd < 0) {
            return "cannot open the file";
        }
    }

    if (position > 0 && !tox_file_seek(tox, number, file, position, NULL)) {
        return "cannot seek";
    }

    return file_control(number, file, TOX_FILE_CONTROL_RESUME);
}

static void answer(const char *id, const char *error)
{
    if (error == NULL) {
        say("{\"re\":%s}", id);
    } else {
        say("{\"re\":%s,\"error\":\"%s\"}", id, error);
    }
}

// Commands whose first argument is a friend's key.
static void friend_command(const char *id, const char *command, char **args, int count)
{
    static uint8_t data[MAX_LINE];
    static char error[64];
    uint32_t number;

    if (count == 0 || !find_friend(args[0], &number)) {
        answer(id, "unknown command or friend");
        return;
    }

    size_t size = count > 1 ? unhex(args[1], data, sizeof data) : 0;

    if (strcmp(command, "message") == 0 || strcmp(command, "action") == 0) {
        Tox_Err_Friend_Send_Message err;
        uint32_t message = tox_friend_send_message(
                               tox, number, *command == 'm' ? TOX_MESSAGE_TYPE_NORMAL : TOX_MESSAGE_TYPE_ACTION, data, size, &err);

        if (err == TOX_ERR_FRIEND_SEND_MESSAGE_OK) {
            say("{\"re\":%s,\"message\":%u}", id, message);
        } else {
            snprintf(error, sizeof error, "tox_friend_send_message error %d", err);
            answer(id, error);
        }
    } else if (strcmp(command, "lossless") == 0) {
        Waiting *w = (Waiting *)malloc(sizeof(Waiting) + size);
        *w = (Waiting) {
            .id = strdup(id), .friend_number = number, .size = size
        };
        memcpy(w->data, data, size);
        *waiting_last = w;
        waiting_last = &w->next;
        send_waiting();
    } else if (strcmp(command, "lossy") == 0) {
        answer(id, tox_friend_send_lossy_packet(tox, number, data, size, NULL) ? NULL : "not sent");
    } else if (strcmp(command, "typing") == 0) {
        answer(id, tox_self_set_typing(tox, number, atoi(args[1]) != 0, NULL) ? NULL : "not sent");
    } else if (strcmp(command, "friend-delete") == 0) {
        answer(id, tox_friend_delete(tox, number, NULL) ? NULL : "not deleted");
    } else if (strcmp(command, "file-send") == 0 && count > 3) {
        command_file_send(id, number, args, count);
    } else if (strcmp(command, "file-accept") == 0 && count > 2) {
        answer(id, command_file_accept(number, args, count));
    } else if (strcmp(command, "file-control") == 0 && count > 2) {
        for (int control = 0; control < 3; ++control) {
            if (strcmp(args[2], control_names[control]) == 0) {
                answer(id, file_control(number, (uint32_t)atol(args[1]), (Tox_File_Control)control));
                return;
            }
        }

        answer(id, "unknown control");
    } else {
        answer(id, "unknown command");
    }
}

static void command(char *line)
{
    static uint8_t data[MAX_LINE], key[TOX_ADDRESS_SIZE];
    static char error[64];
    char *words[MAX_ARGS];
    int count = 0;

    for (char *word = strtok(line, " "); word != NULL && count < MAX_ARGS; word = strtok(NULL, " ")) {
        words[count++] = word;
    }

    if (count < 2) {
        return;
    }

    const char *id = words[0];
    const char *name = words[1];
    char **args = words + 2;
    int left = count - 2;

    if (strcmp(name, "new") == 0) {
        answer(id, tox != NULL ? "there is one already" : command_new(args, left));
    } else if (strcmp(name, "quit") == 0) {
        running = false;
        answer(id, NULL);
    } else if (tox == NULL) {
        answer(id, "new comes first");
    } else if (strcmp(name, "info") == 0) {
        command_info(id);
    } else if (strcmp(name, "friends") == 0) {
        command_friends(id);
    } else if ((strcmp(name, "bootstrap") == 0 || strcmp(name, "relay") == 0) && left > 2) {
        unhex(args[2], key, TOX_PUBLIC_KEY_SIZE);
        bool done = *name == 'b' ? tox_bootstrap(tox, args[0], (uint16_t)atol(args[1]), key, NULL)
                    : tox_add_tcp_relay(tox, args[0], (uint16_t)atol(args[1]), key, NULL);
        answer(id, done ? NULL : "refused");
    } else if (strcmp(name, "name") == 0) {
        answer(id, tox_self_set_name(tox, data, left > 0 ? unhex(args[0], data, sizeof data) : 0, NULL) ? NULL : "refused");
    } else if (strcmp(name, "status-message") == 0) {
        size_t size = left > 0 ? unhex(args[0], data, sizeof data) : 0;
        answer(id, tox_self_set_status_message(tox, data, size, NULL) ? NULL : "refused");
    } else if (strcmp(name, "status") == 0 && left > 0) {
        tox_self_set_status(tox, (Tox_User_Status)atoi(args[0]));
        answer(id, NULL);
    } else if (strcmp(name, "friend-add") == 0 && left > 1) {
        Tox_Err_Friend_Add err;
        unhex(args[0], key, sizeof key);
        tox_friend_add(tox, key, data, unhex(args[1], data, sizeof data), &err);
        snprintf(error, sizeof error, "tox_friend_add error %d", err);
        answer(id, err == TOX_ERR_FRIEND_ADD_OK ? NULL : error);
    } else if (strcmp(name, "friend-accept") == 0 && left > 0) {
        Tox_Err_Friend_Add err;
        unhex(args[0], key, TOX_PUBLIC_KEY_SIZE);
        tox_friend_add_norequest(tox, key, &err);
        snprintf(error, sizeof error, "tox_friend_add_norequest error %d", err);
        answer(id, err == TOX_ERR_FRIEND_ADD_OK ? NULL : error);
    } else if (strcmp(name, "save") == 0 && left > 0) {
        answer(id, command_save(args, left));
    } else {
        friend_command(id, name, args, left);
    }
}

// Takes what stdin has; false at its end.
static bool read_commands(void)
{
    static char buffer[2 * MAX_LINE];
    static size_t filled;
    ssize_t got = read(STDIN_FILENO, buffer + filled, sizeof buffer - filled - 1);

    if (got <= 0) {
        return got < 0 && errno == EINTR;
    }

    filled += (size_t)got;
    buffer[filled] = 0;
    char *start = buffer;

    for (char *end; running && (end = strchr(start, '\n')) != NULL; start = end + 1) {
        *end = 0;
        command(start);
    }

    filled -= (size_t)(start - buffer);
    memmove(buffer, start, filled);
    return true;
}

int main(void)
{
    static char output[1 << 20];
    setvbuf(stdout, output, _IOFBF, sizeof output);

    while (running) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        int wait = tox == NULL ? -1 : any_transfer_moving() || waiting_first != NULL ? BUSY_POLL_MS : IDLE_POLL_MS;

        if (poll(&in, 1, wait) > 0 && !read_commands()) {
            break;
        }

        if (tox != NULL) {
            send_waiting();
            tox_iterate(tox, NULL);
        }

        fflush(stdout);
    }

    fflush(stdout);

    if (tox != NULL) {
        tox_kill(tox);
    }

    return 0;
}
