// The quick half of ecflow_client, for machines with a compiler: what jobs say about themselves, over plain HTTP to a
// numeric address. No C library: its start alone costs more than a whole call (it asks the processor for its caches,
// which is slow on virtual machines). Everything else is ecflow_client.sh's, beside this program. `make build` makes it.

typedef unsigned long word_t;

#if defined(__x86_64__)
enum { SYS_read = 0, SYS_write = 1, SYS_close = 3, SYS_mmap = 9, SYS_nanosleep = 35, SYS_socket = 41, SYS_connect = 42,
       SYS_sendto = 44, SYS_execve = 59, SYS_exit_group = 231 };
static long call6(long n, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
__asm__(".globl _start\n_start:\n xor %ebp,%ebp\n mov %rsp,%rdi\n and $-16,%rsp\n call begin\n hlt\n");
#elif defined(__aarch64__)
enum { SYS_close = 57, SYS_read = 63, SYS_write = 64, SYS_exit_group = 94, SYS_nanosleep = 101, SYS_socket = 198,
       SYS_connect = 203, SYS_sendto = 206, SYS_execve = 221, SYS_mmap = 222 };
static long call6(long n, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
__asm__(".globl _start\n_start:\n mov x29,#0\n mov x30,#0\n mov x0,sp\n bl begin\n");
#else
#error "only x86_64 and aarch64"
#endif

#define CALL3(n, a, b, c) call6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)

// Compilers write calls of these by themselves.
void *memcpy(void *to, const void *from, word_t count) {
  char *at = to;
  const char *source = from;
  while (count--) *at++ = *source++;
  return to;
}
void *memset(void *to, int value, word_t count) {
  char *at = to;
  while (count--) *at++ = (char)value;
  return to;
}

static word_t length(const char *text) {
  word_t count = 0;
  while (text[count]) count++;
  return count;
}

static int begins(const char *text, const char *with) {
  while (*with) if (*text++ != *with++) return 0;
  return 1;
}

static __attribute__((noreturn)) void leave(int code) {
  for (;;) CALL3(SYS_exit_group, code, 0, 0);
}

static void complain(const char *first, word_t first_length, const char *second) {
  static const char name[] = "ecflow_client: ";
  CALL3(SYS_write, 2, name, sizeof name - 1);
  CALL3(SYS_write, 2, first, first_length);
  if (second) CALL3(SYS_write, 2, second, length(second));
  CALL3(SYS_write, 2, "\n", 1);
}

static __attribute__((noreturn)) void die(const char *first, const char *second, int code) {
  complain(first, length(first), second);
  leave(code);
}

static char **environment;

static const char *variable(const char *name) {
  word_t size = length(name);
  for (char **at = environment; *at; at++)
    if (begins(*at, name) && (*at)[size] == '=') return *at + size + 1;
  return 0;
}

// ---------------------------------------------------------------- texts that are being put together

static char *end; // where the next character goes; there is room enough, see begin

static void put(const char *text) {
  while (*text) *end++ = *text++;
}

static void put_number(word_t number) {
  char digits[20];
  int count = 0;
  do digits[count++] = (char)('0' + number % 10); while (number /= 10);
  while (count) *end++ = digits[--count];
}

// The inside of a JSON string.
static void put_escaped(const char *text) {
  static const char hex[] = "0123456789abcdef";
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') {
      *end++ = '\\';
      *end++ = (char)c;
    } else if (c < 0x20) {
      put("\\u00");
      *end++ = hex[c >> 4];
      *end++ = hex[c & 15];
    } else *end++ = (char)c;
  }
}

static int members;

static void put_member(const char *name, const char *value) {
  put(members++ ? ",\"" : "\"");
  put(name);
  put("\":\"");
  put_escaped(value);
  put("\"");
}

static void put_words(const char *name, char **words) {
  put_member(name, *words ? *words : "");
  end--;
  while (*words && *++words) {
    put(" ");
    put_escaped(*words);
  }
  put("\"");
}

// ---------------------------------------------------------------- one request

struct address {
  unsigned char bytes[16]; // a sockaddr_in: family, port, address
  const char *text;        // as the Host header has it
};

// http://127.0.0.1:8080 or http://localhost:8080; anything else is not for this program.
static int read_address(const char *url, struct address *address) {
  unsigned parts[4] = {127, 0, 0, 1};
  unsigned port = 0;
  if (!begins(url, "http://")) return 0;
  url += 7;
  address->text = url;
  if (begins(url, "localhost:")) url += 10;
  else
    for (int part = 0; part < 4; part++) {
      unsigned value = 0;
      int digits = 0;
      for (; *url >= '0' && *url <= '9' && digits < 4; url++, digits++) value = value * 10 + (unsigned)(*url - '0');
      if (digits == 0 || value > 255 || *url++ != (part < 3 ? '.' : ':')) return 0;
      parts[part] = value;
    }
  int digits = 0;
  for (; *url >= '0' && *url <= '9' && digits < 6; url++, digits++) port = port * 10 + (unsigned)(*url - '0');
  if (digits == 0 || port > 65535 || (*url && !(*url == '/' && !url[1]))) return 0;
  memset(address->bytes, 0, sizeof address->bytes);
  *(unsigned short *)address->bytes = 2;
  address->bytes[2] = (unsigned char)(port >> 8);
  address->bytes[3] = (unsigned char)port;
  for (int part = 0; part < 4; part++) address->bytes[4 + part] = (unsigned char)parts[part];
  return 1;
}

static char answer[65536];
static word_t answered; // how much of the answer is there

// The status of one request; 0 when there was no whole answer.
static int ask(const struct address *address, const char *request, word_t size) {
  answered = 0;
  long link = CALL3(SYS_socket, 2, 1 | 02000000, 0);
  if (link < 0) return 0;
  int status = 0;
  if (CALL3(SYS_connect, link, address->bytes, sizeof address->bytes) == 0) {
    word_t sent = 0;
    while (sent < size) {
      long count = call6(SYS_sendto, link, (long)(request + sent), (long)(size - sent), 0x4000, 0, 0);
      if (count <= 0 && count != -4) break;
      if (count > 0) sent += (word_t)count;
    }
    char rest[4096]; // of an answer longer than anybody reads
    while (sent == size) {
      int is_full = answered == sizeof answer;
      long count = is_full ? CALL3(SYS_read, link, rest, sizeof rest)
                           : CALL3(SYS_read, link, answer + answered, sizeof answer - answered);
      if (count == -4) continue;
      if (count <= 0) break;
      if (!is_full) answered += (word_t)count;
    }
    if (answered > 12 && begins(answer, "HTTP/1.") && answer[8] == ' ')
      for (word_t at = 9; at < 12; at++) status = status * 10 + (answer[at] - '0');
  }
  CALL3(SYS_close, link, 0, 0);
  return status;
}

// Where the body of the answer begins; 0 when the head has no end.
static word_t body_of_answer(void) {
  for (word_t at = 0; at + 4 <= answered; at++) if (begins(answer + at, "\r\n\r\n")) return at + 4;
  return 0;
}

// Tried again while the server is away or full: a job must not die of that.
static __attribute__((noreturn)) void say(const struct address *address, const char *url, const char *request,
                                          word_t size) {
  const char *given = variable("ECF_TIMEOUT");
  word_t patience = 0;
  if (!given) given = "86400";
  while (*given >= '0' && *given <= '9' && patience < 100000000) patience = patience * 10 + (word_t)(*given++ - '0');
  word_t waited = 0, pause = 1;
  for (;;) {
    int status = ask(address, request, size);
    word_t body = body_of_answer();
    if (!body) status = 0;
    if (status >= 200 && status < 300) leave(0);
    int is_passing = status == 0 || status == 409 || status == 429 || (status >= 500 && status != 501);
    if (!is_passing || waited >= patience) {
      if (status == 0) die("no answer from ", url, 1);
      complain(answer + body, answered - body, 0);
      leave(1);
    }
    long time[2] = {(long)pause, 0};
    CALL3(SYS_nanosleep, time, 0, 0);
    waited += pause;
    if (pause < 10) pause *= 2;
  }
}

// ---------------------------------------------------------------- the command line

enum { INIT, COMPLETE, ABORT, EVENT, METER, LABEL, NONE };
static const char *const names[] = {"init", "complete", "abort", "event", "meter", "label"};

// The other half, in the same folder: `name` as the kernel was given it.
static __attribute__((noreturn)) void hand_over(char **argv, const char *name, char *room) {
  word_t folder = 0;
  for (word_t at = 0; name[at]; at++) if (name[at] == '/') folder = at + 1;
  end = room;
  for (word_t at = 0; at < folder; at++) *end++ = name[at];
  put("ecflow_client.sh");
  *end++ = 0;
  char **list = (char **)(((word_t)end + 7) & ~7UL);
  int count = 0;
  list[count++] = "sh";
  list[count++] = room;
  for (argv++; *argv; argv++) list[count++] = *argv;
  list[count] = 0;
  CALL3(SYS_execve, "/bin/sh", list, environment);
  die("cannot run ", room, 1);
}

__attribute__((noreturn, used)) void begin(word_t *stack) {
  char **argv = (char **)(stack + 1);
  environment = argv + stack[0] + 1;
  word_t *facts = (word_t *)environment;
  word_t room_size = 65536;
  while (*facts) room_size += 6 * length((char *)*facts++);
  for (char **at = argv; *at; at++) room_size += 6 * length(*at) + sizeof(char *);
  const char *own_name = argv[0] ? argv[0] : "";
  for (facts++; facts[0]; facts += 2) if (facts[0] == 31) own_name = (char *)facts[1]; // AT_EXECFN
  char *room = (char *)call6(SYS_mmap, 0, (long)room_size, 3, 0x22, -1, 0);
  if ((long)room < 0 && (long)room > -4096) die("out of memory", 0, 1);

  // Variables that come or go with a job's words are the shell's.
  for (char **at = argv + 1; stack[0] >= 2 && *at; at++)
    if (begins(*at, "--add") || begins(*at, "--remove")) hand_over(argv, own_name, room);

  const char *url = variable("SWITCHYARD_ECFLOW_URL");
  struct address address;
  int command = NONE;
  char **rest = argv + 2;
  if (stack[0] >= 2 && url && read_address(url, &address) && begins(argv[1], "--")) {
    for (int at = 0; at < NONE; at++) {
      word_t size = 2 + length(names[at]);
      if (!begins(argv[1] + 2, names[at])) continue;
      if (argv[1][size] == '=') {
        argv[1] += size + 1;
        rest = argv + 1;
        command = at;
      } else if (!argv[1][size]) command = at;
    }
  }
  if (command == NONE) hand_over(argv, own_name, room);

  const char *off = variable("NO_ECF");
  if (off && *off) leave(0);
  const char *path = variable("ECF_NAME");
  if (!path || !*path) die("ECF_NAME is not set", 0, 2);
  const char *first = rest[0];
  if (command >= EVENT && (!first || !*first)) die("a name is missing", 0, 2);

  // The body is put together behind the place of the head, whose length is known only then.
  word_t head_room = length(path) + length(address.text) + 256;
  char *body = room + head_room;
  end = body;
  put("{");
  const char *pass = variable("ECF_PASS"), *tries = variable("ECF_TRYNO"), *remote = variable("ECF_RID");
  put_member("ECF_NAME", path);
  put_member("ECF_PASS", pass ? pass : "");
  put_member("ECF_RID", command == INIT && first ? first : remote ? remote : "");
  put_member("ECF_TRYNO", tries ? tries : "1");
  if (command <= ABORT) put_member("action", names[command]);
  else {
    put_member("type", names[command]);
    put_member("name", first);
  }
  if (command == ABORT) {
    if (first) put_words("abort_why", rest);
    else put_member("abort_why", "Trap raised in job file");
  }
  if (command == EVENT) put_member("value", rest[1] ? rest[1] : "set");
  if (command == METER) put_member("value", rest[1] ? rest[1] : (die("a value is missing", 0, 2), ""));
  if (command == LABEL) put_words("value", rest + 1);
  put("}");
  word_t body_size = (word_t)(end - body);

  end = room;
  put("PUT /v1/suites");
  put(path);
  put(command <= ABORT ? "/status" : "/attributes");
  put(" HTTP/1.1\r\nHost: ");
  for (const char *at = address.text; *at && *at != '/'; at++) *end++ = *at;
  put("\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ");
  put_number(body_size);
  put("\r\n\r\n");
  // Head and body are made one; the body moves towards the beginning, so it may be copied forwards.
  for (word_t at = 0; at < body_size; at++) end[at] = body[at];
  say(&address, url, room, (word_t)(end - room) + body_size);
}
