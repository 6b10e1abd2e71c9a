# The helper that starts processes, and the keeper that stays beside each of them until its end is written down.
# Perl, because every Debian base system has it, it can say what Node cannot (setsid, wait4, prctl, flock), and a
# process of 7 MB forks in a fifth of a millisecond. Keepers use system calls where perl's own means would touch more
# memory: what a keeper touches is copied, and that is most of what starting an attempt costs.
# The protocol and the slot layout are described in README.md; the other side is launcher-link.ts and slot-table.ts.
use strict;
use warnings;
use POSIX ();
use Fcntl qw(:flock O_RDWR O_CREAT O_WRONLY O_APPEND O_RDONLY);

my ($table_path, $lock_path, $lock_wait_ms) = @ARGV;

my %calls_of = (
  x86_64 => {
    pwrite64 => 18, dup3 => 292, setitimer => 38, execve => 59, wait4 => 61, fcntl => 72, fdatasync => 75,
    prctl => 157, clock_gettime => 228, waitid => 247, pipe2 => 293, prlimit64 => 302,
  },
  aarch64 => {
    dup3 => 24, fcntl => 25, pipe2 => 59, pwrite64 => 68, fdatasync => 83, waitid => 95, setitimer => 103,
    clock_gettime => 113, prctl => 167, execve => 221, wait4 => 260, prlimit64 => 261,
  },
);
my $machine = (POSIX::uname())[4];
my $calls = $calls_of{$machine};
fail("process attempts are not supported on $machine (only x86_64 and aarch64)") unless $calls;
my ($sys_pwrite64, $sys_dup3, $sys_setitimer, $sys_execve, $sys_wait4, $sys_fcntl) =
  @{$calls}{qw(pwrite64 dup3 setitimer execve wait4 fcntl)};
my ($sys_fdatasync, $sys_prctl, $sys_clock_gettime, $sys_waitid, $sys_pipe2, $sys_prlimit64) =
  @{$calls}{qw(fdatasync prctl clock_gettime waitid pipe2 prlimit64)};

use constant {
  PR_SET_PDEATHSIG => 1, PR_SET_CHILD_SUBREAPER => 36,
  CLOCK_REALTIME => 0, CLOCK_MONOTONIC => 1, CLOCK_BOOTTIME => 7,
  RLIMIT_CPU => 0, RLIMIT_FSIZE => 1, RLIMIT_AS => 9,
  WNOHANG => 1, WEXITED => 4, WNOWAIT => 0x01000000, P_PID => 1,
  O_CLOEXEC => 02000000, F_DUPFD_CLOEXEC => 1030, F_SETFD => 2, FD_CLOEXEC => 1,
  SLOT_BYTES => 512, HALF_BYTES => 256,
};
# The fields of an order, as orderFrame of launcher-link.ts writes them. The last are lists, each after its length.
use constant {
  KEY => 0, SLOT => 1, CWD => 2, STDIN_FILE => 3, OUT => 4, ERR => 5, SPARE => 6, GRACE_MS => 7, LEFTOVERS => 8,
  MEMORY_HOW => 9, MEMORY_DIR => 10, MEMORY_BYTES => 11, CPU_SECONDS => 12, FILE_BYTES => 13, STREAM_BYTES => 14,
  LISTS => 15,
};
# Stop signals carry what was asked: 40 + 2 * index of the reason, + 1 when it may not end by itself.
use constant STOP_BASE => 40;
my @whys = qw(cancel pause kill expire);

my $nothing_blocked = POSIX::SigSet->new;
my @stops;      # stop signals that came, not yet looked at
my $alarmed;
my @forks;      # lines for tell_forks
my $ticks;      # when the attempt was claimed, in kernel ticks
my @streams;    # a keeper's descriptors of its program's out and err

sub fail { syswrite(STDOUT, "failed $_[0]\n"); POSIX::_exit(1) }

sub clock_ms {
  my ($clock) = @_;
  my $time = "\0" x 16;
  syscall($sys_clock_gettime, $clock, $time);
  my ($seconds, $nanos) = unpack('q2', $time);
  return $seconds * 1000 + int($nanos / 1_000_000);
}

# The time of day, for records; and one that nobody can set, for waiting.
sub now_ms    { return clock_ms(CLOCK_REALTIME) }
sub passed_ms { return clock_ms(CLOCK_MONOTONIC) }

sub set_timer {
  my ($ms) = @_;
  my $value = pack('q4', 0, 0, int($ms / 1000), ($ms % 1000) * 1000);
  syscall($sys_setitimer, 0, $value, 0);
}

# ------------------------------------------------------------------ the launcher

# Whatever the server was itself given open, by its own parent, is not for programs.
if (opendir(my $open, '/proc/self/fd')) {
  for my $fd (grep { /\A\d+\z/ && $_ > 2 } readdir($open)) { syscall($sys_fcntl, $fd + 0, F_SETFD, FD_CLOEXEC) }
}
sysopen(my $lock, $lock_path, O_RDWR | O_CREAT, 0600) or fail("cannot open $lock_path: $!");
# A keeper holds the lock, too, until its claim is in the table. So who has it alone knows that every start of an
# earlier launcher is either in the table or will never happen.
{
  my $until = passed_ms() + $lock_wait_ms;
  until (flock($lock, LOCK_EX | LOCK_NB)) {
    fail("another server holds $lock_path") if passed_ms() > $until;
    select(undef, undef, undef, 0.01);
  }
}
sysopen(my $table, $table_path, O_RDWR | O_CREAT, 0600) or fail("cannot open $table_path: $!");
my $table_fd = fileno($table);
my $null_fd = POSIX::open('/dev/null', O_RDONLY | O_CLOEXEC);
fail("cannot open /dev/null: $!") unless defined $null_fd;

$SIG{CHLD} = 'IGNORE';    # keepers are reaped by the kernel; their ends are in the table
my @stop_signals = map { STOP_BASE + $_ } 0 .. 2 * @whys - 1;
for my $number (@stop_signals) {
  $SIG{"NUM$number"} = sub { push @stops, $number };
}
$SIG{ALRM} = sub { $alarmed = 1 };
$SIG{TERM} = sub { push @stops, 0 };
$SIG{FPE} = 'DEFAULT';    # perl ignores it, and programs would inherit that
{
  # Blocked but for the instants in which a keeper waits: nothing can come between a look and the wait.
  # SIGPIPE is blocked rather than ignored, because programs would inherit that it is ignored.
  my $blocked =
    POSIX::SigSet->new(&POSIX::SIGCHLD, &POSIX::SIGALRM, &POSIX::SIGTERM, &POSIX::SIGPIPE, @stop_signals);
  POSIX::sigprocmask(&POSIX::SIG_BLOCK, $blocked);
}
my $waiting_mask = POSIX::SigSet->new(&POSIX::SIGPIPE);
syswrite(STDOUT, "ready $$\n");
open(STDERR, '>', '/dev/null');

my $buffer = '';
while (1) {
  while ($buffer =~ /\A(\d+)\n/ && length($buffer) >= $+[0] + $1) {
    my $frame = substr($buffer, $+[0], $1);
    substr($buffer, 0, $+[0] + $1) = '';
    start($frame);
  }
  tell_forks();
  my $count = sysread(STDIN, $buffer, 65536, length($buffer));
  next if !defined($count) && $! == &POSIX::EINTR;
  last if !$count;
}
POSIX::_exit(0);

# Who keeps which attempt, so that a keeper that dies before its claim is missed. Lines of several writers share the
# pipe, so no write may be longer than what a pipe takes at once (4096 bytes).
sub tell_forks {
  while (@forks) { syswrite(STDOUT, join('', splice(@forks, 0, 24))) }
}

sub start {
  my ($frame) = @_;
  my $keeper = fork();
  if ($keeper) {
    push @forks, 'F ' . substr($frame, 0, index($frame, "\0")) . " $keeper\n";
    return;
  }
  my @order = split(/\0/, $frame, -1);
  if (!defined($keeper)) {    # no room for another process: the launcher itself writes how it ended
    my $problem = "cannot fork: $!";
    my $at = now_ms();
    claim(\@order, 0, $at);
    report_end(\@order, { launch => $problem, at => $at });
    return;
  }
  keep(\@order);
  POSIX::_exit(0);
}

# ------------------------------------------------------------------ the keeper

sub keep {
  my ($order) = @_;
  $SIG{CHLD} = sub { };
  POSIX::setsid();
  syscall($sys_dup3, $null_fd, 0, 0);    # the orders are not this process's to read
  # Whatever the program leaves behind becomes ours, so that it can be found and ended.
  syscall($sys_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  my $at = now_ms();
  claim($order, $$, $at) or return report_end($order, { launch => "cannot write $table_path: $!", at => $at });
  POSIX::close(fileno($lock));
  syswrite(STDOUT, "B $order->[KEY] $$ $ticks $at\n");

  my %end = (at => $at);
  my $child = launch($order, \%end) or return report_end($order, \%end);
  wait_for($order, $child, \%end);
  $end{status} = reap($child, \%end);
  end_leftovers() if $order->[LEFTOVERS] eq 'end' || $end{stop};
  read_memory_verdict($order, \%end) if $order->[MEMORY_DIR] ne '';
  # Perhaps the program was never reached: then the reason is in the pipe, which closes when the program begins.
  if ($end{status} == 127 << 8) {
    my $count = POSIX::read($end{refusals}, my $reason, 400);
    $end{launch} = $reason if $count && $count > 0;
  }
  report_end($order, \%end);
}

# Writes who keeps the attempt, before there is a program. With it goes the time in kernel ticks: the keeper was
# started before it, any later process with its number is started after it.
sub claim {
  my ($order, $pid, $at) = @_;
  $ticks = int(clock_ms(CLOCK_BOOTTIME) / 10);
  my $slot = sprintf("%-255s\n%256s", "S $order->[KEY] $pid $ticks $at", '');
  return syscall($sys_pwrite64, $table_fd, $slot, SLOT_BYTES, $order->[SLOT] * SLOT_BYTES) == SLOT_BYTES;
}

sub launch {
  my ($order, $end) = @_;
  for my $name (OUT, ERR) {
    my $stream = open_stream($order, $name);
    if (!defined $stream) { $end->{launch} = "cannot open $order->[$name]: $!"; return }
    push @streams, $stream;
  }
  if ($order->[MEMORY_DIR] ne '') {
    my $problem = make_memory_limit($order);
    if ($problem ne '') { $end->{launch} = $problem; return }
  }
  my $pipe = pack('ii', 0, 0);
  if (syscall($sys_pipe2, $pipe, O_CLOEXEC) != 0) { $end->{launch} = "cannot make a pipe: $!"; return }
  my ($refusals, $refusal) = unpack('ii', $pipe);
  my $child = fork();
  if (!defined $child) { $end->{launch} = "cannot fork: $!"; return }
  become_program($order, $refusal) if !$child;
  POSIX::close($refusal);
  $end->{refusals} = $refusals;
  return $child;
}

# An empty stream is not deleted but kept as the slot's spare, and renamed for the slot's next attempt: a file system
# that has just deleted thousands of files is slow to make new ones (ext4 avoids recently freed inodes).
sub open_stream {
  my ($order, $name) = @_;
  rename("$order->[SPARE].$name", $order->[$name]) if $order->[SPARE] ne '';
  return POSIX::open($order->[$name], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

sub put_stream_aside {
  my ($order, $name) = @_;
  rename($order->[$name], "$order->[SPARE].$name") if $order->[SPARE] ne '' && $order->[LEFTOVERS] eq 'end';
}

sub become_program {
  my ($order, $refusal) = @_;
  my $keeper = getppid();
  POSIX::setsid();
  syscall($sys_prctl, PR_SET_PDEATHSIG, 9, 0, 0, 0);
  POSIX::_exit(1) if getppid() != $keeper;
  # Handlers end with exec by themselves; but this one must not swallow a TERM that comes before it.
  $SIG{TERM} = 'DEFAULT';
  POSIX::sigprocmask(&POSIX::SIG_SETMASK, $nothing_blocked);
  if ($order->[STDIN_FILE] ne '') {
    my $in = POSIX::open($order->[STDIN_FILE], O_RDONLY | O_CLOEXEC);
    refuse($refusal, "cannot open $order->[STDIN_FILE]: $!") unless defined $in;
    syscall($sys_dup3, $in, 0, 0);
  }
  syscall($sys_dup3, $streams[0], 1, 0);
  syscall($sys_dup3, $streams[1], 2, 0);
  my @lists = @{$order}[LISTS .. $#$order];
  my @files = splice(@lists, 0, 1 + $lists[0]);
  my @argv = splice(@lists, 0, 1 + $lists[0]);
  my @env = splice(@lists, 0, 1 + $lists[0]);
  shift @files;
  shift @argv;
  shift @env;
  $refusal = open_files($refusal, @files) if @files;
  chdir($order->[CWD]) or refuse($refusal, "cannot enter the folder $order->[CWD]: $!");
  enter_limits($order, $refusal);
  my $problem = execute(\@argv, \@env);
  refuse($refusal, "cannot run $argv[0]: $problem");
}

# Files for descriptors 3, 4 ...: everything that is open moves above those numbers first. The refusal pipe moves, too.
sub open_files {
  my ($refusal, @files) = @_;
  my $first_free = 3 + @files;
  my $moved = syscall($sys_fcntl, $refusal, F_DUPFD_CLOEXEC, $first_free);
  my @high;
  for my $path (@files) {
    my $fd = POSIX::open($path, O_RDONLY | O_CLOEXEC);
    refuse($moved, "cannot open $path: $!") unless defined $fd;
    push @high, syscall($sys_fcntl, $fd, F_DUPFD_CLOEXEC, $first_free);
  }
  my $number = 3;
  syscall($sys_dup3, $_, $number++, 0) for @high;
  return $moved;
}

sub enter_limits {
  my ($order, $refusal) = @_;
  my $how = $order->[MEMORY_HOW];
  if ($how eq 'rlimit') {
    limit(RLIMIT_AS, $order->[MEMORY_BYTES], $order->[MEMORY_BYTES]);
  } elsif ($how ne '') {
    put("$order->[MEMORY_DIR]/cgroup.procs", $$) or refuse($refusal, "cannot enter $order->[MEMORY_DIR]: $!");
  }
  limit(RLIMIT_CPU, $order->[CPU_SECONDS], $order->[CPU_SECONDS] + 1) if $order->[CPU_SECONDS];
  limit(RLIMIT_FSIZE, $order->[FILE_BYTES], $order->[FILE_BYTES]) if $order->[FILE_BYTES];
}

sub limit {
  my ($which, $soft, $hard) = @_;
  my $value = pack('QQ', $soft, $hard);
  syscall($sys_prlimit64, 0, $which, $value, 0);
}

# Becomes the program, looked up as a shell would; comes back only with the reason why not.
sub execute {
  my ($argv, $env) = @_;
  my $envp = pack('p*', @$env) . pack('Q', 0);
  my $argp = pack('p*', @$argv) . pack('Q', 0);
  my $name = $argv->[0];
  my @places = ('');
  if (index($name, '/') < 0) {
    my ($path) = grep { substr($_, 0, 5) eq 'PATH=' } @$env;
    @places = map { $_ eq '' ? './' : "$_/" } split(/:/, defined $path ? substr($path, 5) : '/usr/bin:/bin', -1);
  }
  my $problem = '';
  for my $place (@places) {
    my $file = "$place$name";
    syscall($sys_execve, $file, $argp, $envp);
    if ($! == &POSIX::ENOEXEC) {    # a script without its first line is one for the shell
      my @script = ('/bin/sh', $file, @{$argv}[1 .. $#$argv]);
      my $script_argp = pack('p*', @script) . pack('Q', 0);
      syscall($sys_execve, $script[0], $script_argp, $envp);
    }
    # What is not there may be further on in the PATH; what is there and does not start is worth telling.
    my $absent = $! == &POSIX::ENOENT || $! == &POSIX::ENOTDIR;
    $problem = "$!" if $problem eq '' || !$absent;
    last unless $absent || $! == &POSIX::EACCES;
  }
  return $problem;
}

# Told to the keeper by a pipe, which no limit of the program's can forbid.
sub refuse {
  my ($refusal, $why) = @_;
  POSIX::write($refusal, $why, length($why));
  POSIX::_exit(127);
}

# Until the program has ended, but without reaping it: its group's number cannot be given to another meanwhile.
sub wait_for {
  my ($order, $child, $end) = @_;
  my $info = "\0" x 128;
  my $kill_at;    # when the grace time is over
  my $poll_ms = 100;
  my $poll_at;    # when to look at the size of the streams
  if ($order->[STREAM_BYTES]) { $poll_at = passed_ms() + $poll_ms; set_timer($poll_ms) }
  while (1) {
    substr($info, 0, 4) = "\0\0\0\0";
    my $result = syscall($sys_waitid, P_PID, $child, $info, WNOHANG | WEXITED | WNOWAIT, 0);
    last if $result == -1 || unpack('i', $info) != 0;
    while (@stops) {
      my $number = shift @stops;
      my $hard = $number && ($number - STOP_BASE) % 2;
      $end->{stop} ||= $hard ? 'kill' : 'ask';
      $end->{why} ||= $number ? $whys[int(($number - STOP_BASE) / 2)] : 'kill';
      if ($hard) { $kill_at = passed_ms() }
      elsif (!defined $kill_at) {
        $kill_at = passed_ms() + $order->[GRACE_MS];
        kill('TERM', -$child) or kill('TERM', $child);
        kill('CONT', -$child);    # one that is halted could not hear it
      }
      $alarmed = 1;
    }
    if ($alarmed) {
      $alarmed = 0;
      my $now = passed_ms();
      if (defined $poll_at && $now >= $poll_at) {
        for my $index (0, 1) {
          next if $end->{full} || stream_size($index) <= $order->[STREAM_BYTES];
          $end->{full} = $index ? 'err' : 'out';
          $kill_at = $now;
        }
        $poll_ms *= 2 if $poll_ms < 400;
        $poll_at = $now + $poll_ms;
      }
      if (defined $kill_at && $now >= $kill_at) {
        kill('KILL', -$child) or kill('KILL', $child);
        # Killed again from time to time: a process stuck in the kernel dies when it comes back.
        $kill_at = $now + 1000;
      }
      my ($next) = sort { $a <=> $b } grep { defined } $kill_at, $poll_at;
      set_timer($next > $now ? $next - $now : 1) if defined $next;
    }
    POSIX::sigsuspend($waiting_mask) unless @stops || $alarmed;
  }
  kill('KILL', -$child) if $order->[LEFTOVERS] eq 'end' || $end->{stop};
}

sub stream_size {
  my ($index) = @_;
  return POSIX::lseek($streams[$index], 0, 2) + 0;    # where its end is
}

sub reap {
  my ($child, $end) = @_;
  my $status = pack('i', 0);
  my $usage = "\0" x 144;
  syscall($sys_wait4, $child, $status, 0, $usage);
  my @fields = unpack('q5', $usage);
  $end->{user_us} = $fields[0] * 1_000_000 + $fields[1];
  $end->{system_us} = $fields[2] * 1_000_000 + $fields[3];
  $end->{max_rss_kb} = $fields[4];
  return unpack('i', $status);
}

# Ends what the program left in other groups and sessions: orphans became this keeper's children.
sub end_leftovers {
  my $until;
  while (1) {
    my $status = pack('i', 0);
    my $result = syscall($sys_wait4, -1, $status, WNOHANG, 0);
    return if $result == -1;    # no children are left
    next if $result > 0;
    my $now = passed_ms();
    $until ||= $now + 10_000;
    return if $now > $until;
    kill('KILL', $_) for children();
    select(undef, undef, undef, 0.002);
  }
}

sub children {
  if (open(my $list, '<', "/proc/$$/task/$$/children")) {
    my $line = <$list>;
    return defined $line ? split(' ', $line) : ();
  }
  my @found;
  opendir(my $processes, '/proc') or return;
  for my $pid (grep { /\A\d+\z/ } readdir($processes)) {
    open(my $stat, '<', "/proc/$pid/stat") or next;
    sysread($stat, my $line, 1024) or next;
    push @found, $pid if (split(/ /, substr($line, rindex($line, ')') + 2)))[1] == $$;
  }
  return @found;
}

# ------------------------------------------------------------------ memory by cgroup

sub put {
  my ($path, $text) = @_;
  sysopen(my $file, $path, O_WRONLY) or return 0;
  return defined syswrite($file, $text);
}

sub make_memory_limit {
  my ($order) = @_;
  my ($how, $dir, $bytes) = @{$order}[MEMORY_HOW, MEMORY_DIR, MEMORY_BYTES];
  mkdir($dir, 0755) or $! == &POSIX::EEXIST or return "cannot make $dir: $!";
  if ($how eq 'v1') {
    put("$dir/memory.limit_in_bytes", $bytes) or return "cannot limit memory in $dir: $!";
    put("$dir/memory.memsw.limit_in_bytes", $bytes);    # absent where swap is not counted
  } else {
    put("$dir/memory.max", $bytes) or return "cannot limit memory in $dir: $!";
    put("$dir/memory.swap.max", 0);                      # absent where there is no swap
  }
  return '';
}

sub read_memory_verdict {
  my ($order, $end) = @_;
  my ($how, $dir) = @{$order}[MEMORY_HOW, MEMORY_DIR];
  if (open(my $events, '<', $how eq 'v1' ? "$dir/memory.oom_control" : "$dir/memory.events")) {
    while (my $line = <$events>) { $end->{oom} = 1 if $line =~ /\Aoom_kill ([1-9])/ }
  }
  rmdir($dir);
}

# ------------------------------------------------------------------ the end

# Streams first, then the record, then the news: what is reported is kept.
sub report_end {
  my ($order, $end) = @_;
  my @sizes = (0, 0);
  for my $index (0 .. $#streams) {
    if (($end->{full} || '') eq ('out', 'err')[$index]) { truncate_stream($order, $index) }
    $sizes[$index] = stream_size($index);
    if (!$sizes[$index]) { put_stream_aside($order, OUT + $index) }
    elsif (syscall($sys_fdatasync, $streams[$index]) != 0) { $end->{unkept} = 1 }
  }
  my $status = $end->{status} || 0;
  my $flags = join(',', flags($order, $end, $status & 127));
  my $line = join(' ', 'E', $status >> 8 & 255, $status & 127, $end->{at}, now_ms(),
    $end->{user_us} || 0, $end->{system_us} || 0, $end->{max_rss_kb} || 0, @sizes,
    $end->{stop} || '-', $end->{why} || '-', $flags || '-', defined $end->{launch} ? $end->{launch} : '');
  $line =~ tr/\0-\x1f/ /;
  my $half = sprintf("%-255.255s\n", $line);
  syscall($sys_pwrite64, $table_fd, $half, HALF_BYTES, $order->[SLOT] * SLOT_BYTES + HALF_BYTES);
  syswrite(STDOUT, "E $order->[KEY] " . substr($line, 2, 253) . "\n");
}

# What stands behind the end besides its code; said here, because here the limits are known.
sub flags {
  my ($order, $end, $signal) = @_;
  my @flags;
  push @flags, 'launch' if defined $end->{launch};
  push @flags, "full-$end->{full}" if $end->{full};
  push @flags, 'unkept' if $end->{unkept};
  # Without a cgroup a program only sees failing allocations, and nothing tells. That it came near its limit before it
  # failed is the best sign there is.
  my $near = $order->[MEMORY_HOW] eq 'rlimit' && ($end->{max_rss_kb} || 0) * 1024 >= 0.8 * $order->[MEMORY_BYTES];
  push @flags, 'memory' if $end->{oom} || $near && !$end->{stop};
  my $cpu_ms = (($end->{user_us} || 0) + ($end->{system_us} || 0)) / 1000;
  push @flags, 'cpu'
    if $order->[CPU_SECONDS] && ($signal == 24 || $signal == 9 && $cpu_ms >= $order->[CPU_SECONDS] * 1000);
  push @flags, 'file' if $order->[FILE_BYTES] && $signal == 25;
  return @flags;
}

sub truncate_stream {
  my ($order, $index) = @_;
  truncate($order->[OUT + $index], $order->[STREAM_BYTES]);
}
