# The helper that starts processes, and the keeper that stays beside each of them until its end is written down.
# Perl, because it is in every Debian base system and can say what Node cannot: setsid, wait4, prctl, flock; and
# because a 7 MB process forks in a fifth of a millisecond (docs/decisions: process attempts have keepers).
# The protocol and the slot layout are described in README.md; the other side is launcher-link.ts and slot-table.ts.
use strict;
use warnings;
use POSIX ();
use Fcntl qw(:flock O_RDWR O_CREAT O_WRONLY O_APPEND O_RDONLY F_DUPFD);

my ($table_path, $lock_path) = @ARGV;

my %calls_of = (
  x86_64 => {
    pwrite64 => 18, setitimer => 38, wait4 => 61, fdatasync => 75,
    prctl => 157, clock_gettime => 228, waitid => 247, prlimit64 => 302,
  },
  aarch64 => {
    pwrite64 => 68, fdatasync => 83, waitid => 95, setitimer => 103,
    clock_gettime => 113, prctl => 167, wait4 => 260, prlimit64 => 261,
  },
);
my $machine = (POSIX::uname())[4];
my $call = $calls_of{$machine};
fail("process attempts are not supported on $machine (only x86_64 and aarch64)") unless $call;

my ($PR_SET_PDEATHSIG, $PR_SET_CHILD_SUBREAPER) = (1, 36);
my ($RLIMIT_CPU, $RLIMIT_FSIZE, $RLIMIT_AS) = (0, 1, 9);
my ($WNOHANG, $WEXITED, $WNOWAIT, $P_PID) = (1, 4, 0x01000000, 1);
my $SLOT_BYTES = 512;
my $HALF_BYTES = 256;
# Stop signals carry what was asked: 40 + 2 * index of the reason, + 1 when it may not end by itself.
my $STOP_BASE = 40;
my @whys = qw(cancel pause kill expire);

my $nothing_blocked = POSIX::SigSet->new;
my @stops;    # stop signals that came, not yet looked at
my $alarmed;
my @forks;    # lines for tell_forks

sub fail { syswrite(STDOUT, "failed $_[0]\n"); POSIX::_exit(1) }

sub now_ms {
  my $time = "\0" x 16;
  syscall($call->{clock_gettime}, 0, $time);
  my ($seconds, $nanos) = unpack('q2', $time);
  return $seconds * 1000 + int($nanos / 1_000_000);
}

sub write_at {
  my ($handle, $bytes, $offset) = @_;
  return syscall($call->{pwrite64}, fileno($handle), $bytes, length($bytes), $offset) == length($bytes);
}

sub set_timer {
  my ($ms) = @_;
  my $value = pack('q4', 0, 0, int($ms / 1000), ($ms % 1000) * 1000);
  syscall($call->{setitimer}, 0, $value, 0);
}

# ------------------------------------------------------------------ the launcher

sysopen(my $lock, $lock_path, O_RDWR | O_CREAT, 0600) or fail("cannot open $lock_path: $!");
# A keeper holds the lock, too, until its claim is in the table. So who has it alone knows that every start of an
# earlier launcher is either in the table or will never happen.
{
  my $tries = 0;
  until (flock($lock, LOCK_EX | LOCK_NB)) {
    fail("another server uses $lock_path") if ++$tries > 600;
    select(undef, undef, undef, 0.05);
  }
}
sysopen(my $table, $table_path, O_RDWR | O_CREAT, 0600) or fail("cannot open $table_path: $!");

$SIG{PIPE} = 'IGNORE';
$SIG{CHLD} = 'IGNORE';    # keepers are reaped by the kernel; their ends are in the table
my @stop_signals = map { $STOP_BASE + $_ } 0 .. 2 * @whys - 1;
for my $number (@stop_signals) {
  $SIG{"NUM$number"} = sub { push @stops, $number };
}
$SIG{ALRM} = sub { $alarmed = 1 };
$SIG{TERM} = sub { push @stops, 0 };
{
  # Blocked but for the instants in which a keeper waits: nothing can come between a look and the wait.
  my $blocked = POSIX::SigSet->new(&POSIX::SIGCHLD, &POSIX::SIGALRM, &POSIX::SIGTERM, @stop_signals);
  POSIX::sigprocmask(&POSIX::SIG_BLOCK, $blocked);
}
sysopen(my $null, '/dev/null', O_RDONLY) or fail("cannot open /dev/null: $!");
syswrite(STDOUT, "ready $$\n");
open(STDERR, '>', '/dev/null');

my $buffer = '';
while (1) {
  while ($buffer =~ /\A(\d+)\n/ && length($buffer) >= $+[0] + $1) {
    my $order = substr($buffer, $+[0], $1);
    substr($buffer, 0, $+[0] + $1) = '';
    start($order);
  }
  tell_forks();
  my $count = sysread(STDIN, $buffer, 65536, length($buffer));
  next if !defined($count) && $!{EINTR};
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
  my %order;
  (@order{qw(key slot cwd stdin out err spare grace_ms leftovers
             memory_how memory_dir memory_bytes cpu_seconds file_bytes stream_bytes)}, my @rest) = split(/\0/, $frame, -1);
  for my $list (qw(files argv env)) {
    my $count = shift @rest;
    $order{$list} = [splice(@rest, 0, $count)];
  }
  if (!defined($keeper)) {    # no room for another process: the launcher itself writes how it ended
    my $at = now_ms();
    write_at($table, start_half(\%order, 0, 0, $at) . (' ' x $HALF_BYTES), $order{slot} * $SLOT_BYTES);
    report_end(\%order, { launch => "cannot fork: $!", at => $at });
    return;
  }
  keep(\%order);
  POSIX::_exit(0);
}

# ------------------------------------------------------------------ the keeper

sub keep {
  my ($order) = @_;
  $SIG{CHLD} = sub { };
  POSIX::setsid();
  POSIX::dup2(fileno($null), 0);    # the orders are not this process's to read
  # Whatever the program leaves behind becomes ours, so that it can be found and ended.
  syscall($call->{prctl}, $PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  my $at = now_ms();
  my $claim = start_half($order, $$, start_ticks(), $at) . (' ' x $HALF_BYTES);
  write_at($table, $claim, $order->{slot} * $SLOT_BYTES)
    or return report_end($order, { launch => "cannot write $table_path: $!", at => $at });
  close($lock);
  syswrite(STDOUT, "B $order->{key} $$ $at\n");

  my ($out, $err);
  my $launch =
      !($out = open_stream($order, 'out')) ? "cannot open $order->{out}: $!"
    : !($err = open_stream($order, 'err')) ? "cannot open $order->{err}: $!"
    :                                                            enter_memory_limit($order);
  return report_end($order, { launch => $launch, at => $at, out => $out, err => $err }) if $launch;

  pipe(my $refusals, my $refusal) or return report_end($order, { launch => "cannot make a pipe: $!", at => $at, out => $out, err => $err });
  my $child = fork();
  return report_end($order, { launch => "cannot fork: $!", at => $at, out => $out, err => $err }) unless defined $child;
  if (!$child) {
    $order->{refusal} = $refusal;
    become_program($order, $out, $err);
  }
  close($refusal);

  my %end = (at => $at, out => $out, err => $err);
  wait_for($order, $child, \%end);
  $end{status} = reap($child, \%end);
  end_leftovers() if $order->{leftovers} eq 'end' || $end{stop};
  read_memory_verdict($order, \%end);
  # Perhaps the program was never reached: then the reason is in the pipe, which closes when the program begins.
  if ($end{status} == 127 << 8 && sysread($refusals, my $reason, 400)) { $end{launch} = $reason }
  report_end($order, \%end);
}

sub start_half {
  my ($order, $pid, $ticks, $at) = @_;
  return sprintf("%-255s\n", "S $order->{key} $pid $ticks $at");
}

sub start_ticks {
  open(my $stat, '<', '/proc/self/stat') or return 0;
  sysread($stat, my $line, 1024);
  return (split(/ /, substr($line, rindex($line, ')') + 2)))[19];
}

# An empty stream is not deleted but kept as the slot's spare, and renamed for the slot's next attempt: a file system
# that has just deleted thousands of files is slow to make new ones (ext4 avoids recently freed inodes).
sub open_stream {
  my ($order, $name) = @_;
  rename("$order->{spare}.$name", $order->{$name}) if $order->{spare} ne '';
  sysopen(my $stream, $order->{$name}, O_WRONLY | O_CREAT | O_APPEND, 0600) or return;
  return $stream;
}

sub put_stream_aside {
  my ($order, $name) = @_;
  rename($order->{$name}, "$order->{spare}.$name") if $order->{spare} ne '' && $order->{leftovers} eq 'end';
}

sub become_program {
  my ($order, $out, $err) = @_;
  my $keeper = getppid();
  POSIX::setsid();
  syscall($call->{prctl}, $PR_SET_PDEATHSIG, 9, 0, 0, 0);
  refuse($order, 'its keeper is gone') if getppid() != $keeper;
  $SIG{$_} = 'DEFAULT' for qw(PIPE CHLD TERM ALRM);
  POSIX::sigprocmask(&POSIX::SIG_SETMASK, $nothing_blocked);
  if ($order->{stdin} ne '') {
    sysopen(my $in, $order->{stdin}, O_RDONLY) or refuse($order, "cannot open $order->{stdin}: $!");
    POSIX::dup2(fileno($in), 0);
  }
  POSIX::dup2(fileno($out), 1);
  POSIX::dup2(fileno($err), 2);
  open_files($order) if @{ $order->{files} };
  chdir($order->{cwd}) or refuse($order, "cannot enter the folder $order->{cwd}: $!");
  %ENV = ();
  for my $pair (@{ $order->{env} }) {
    my ($name, $value) = split(/=/, $pair, 2);
    $ENV{$name} = $value;
  }
  my @argv = @{ $order->{argv} };
  if ($order->{memory_how} eq 'v1' || $order->{memory_how} eq 'v2') {
    put("$order->{memory_dir}/cgroup.procs", $$) or refuse($order, "cannot enter $order->{memory_dir}: $!");
  } elsif ($order->{memory_how} eq 'rlimit') {
    limit($RLIMIT_AS, $order->{memory_bytes}, $order->{memory_bytes});
  }
  limit($RLIMIT_CPU, $order->{cpu_seconds}, $order->{cpu_seconds} + 1) if $order->{cpu_seconds};
  limit($RLIMIT_FSIZE, $order->{file_bytes}, $order->{file_bytes}) if $order->{file_bytes};
  no warnings 'exec';
  exec { $argv[0] } @argv;
  refuse($order, "cannot run $argv[0]: $!");
}

# Files for descriptors 3, 4 ...: everything that is open moves above those numbers first.
sub open_files {
  my ($order) = @_;
  my $first_free = 3 + @{ $order->{files} };
  my $moved = fcntl($order->{refusal}, F_DUPFD, $first_free) or refuse($order, "cannot copy a descriptor: $!");
  # Handles of perl's are closed when the program begins; that is how the keeper knows that it did.
  open($order->{refusal}, '>&=', $moved) or POSIX::_exit(127);
  my @high;
  for my $path (@{ $order->{files} }) {
    sysopen(my $file, $path, O_RDONLY) or refuse($order, "cannot open $path: $!");
    push @high, fcntl($file, F_DUPFD, $first_free) || refuse($order, "cannot copy a descriptor: $!");
  }
  my $number = 3;
  for my $fd (@high) { POSIX::dup2($fd, $number++); POSIX::close($fd) }
}

# Told to the keeper by a pipe, which no limit of the program's can forbid.
sub refuse {
  my ($order, $why) = @_;
  syswrite($order->{refusal}, $why);
  POSIX::_exit(127);
}

sub limit {
  my ($which, $soft, $hard) = @_;
  my $value = pack('QQ', $soft, $hard);
  syscall($call->{prlimit64}, 0, $which, $value, 0);
}

# Until the program has ended, but without reaping it: its group's number cannot be given to another meanwhile.
sub wait_for {
  my ($order, $child, $end) = @_;
  my $info = "\0" x 128;
  my $killed = 0;
  my $kill_at;      # when the grace time is over
  my $poll_ms = 0;
  my $poll_at;      # when to look at the size of the streams
  if ($order->{stream_bytes}) { $poll_ms = 100; $poll_at = now_ms() + $poll_ms; set_timer($poll_ms) }
  while (1) {
    substr($info, 0, 4) = "\0\0\0\0";
    my $result = syscall($call->{waitid}, $P_PID, $child, $info, $WNOHANG | $WEXITED | $WNOWAIT, 0);
    last if $result == -1 || unpack('i', $info) != 0;
    while (@stops) {
      my $number = shift @stops;
      my $hard = $number && ($number - $STOP_BASE) % 2;
      $end->{stop} ||= $hard ? 'kill' : 'ask';
      $end->{why} ||= $number ? $whys[int(($number - $STOP_BASE) / 2)] : 'kill';
      if ($hard) { $kill_at = now_ms() }
      elsif (!defined $kill_at) {
        $kill_at = now_ms() + $order->{grace_ms};
        kill('TERM', -$child) or kill('TERM', $child);
      }
      $alarmed = 1;
    }
    if ($alarmed) {
      $alarmed = 0;
      my $now = now_ms();
      if (defined $poll_at && $now >= $poll_at) {
        for my $name (qw(out err)) {
          next if $end->{full} || -s $end->{$name} <= $order->{stream_bytes};
          $end->{full} = $name;
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
  }
  continue {
    POSIX::sigsuspend($nothing_blocked) unless @stops || $alarmed;
  }
  set_timer(0) if defined $kill_at || defined $poll_at;
  kill('KILL', -$child) if $order->{leftovers} eq 'end' || $end->{stop};
}

sub reap {
  my ($child, $end) = @_;
  my $status = pack('i', 0);
  my $usage = "\0" x 144;
  syscall($call->{wait4}, $child, $status, 0, $usage);
  my @fields = unpack('q5', $usage);
  $end->{user_us} += $fields[0] * 1_000_000 + $fields[1];
  $end->{system_us} += $fields[2] * 1_000_000 + $fields[3];
  $end->{max_rss_kb} = $fields[4] if $fields[4] > ($end->{max_rss_kb} || 0);
  return unpack('i', $status);
}

# Ends what the program left in other groups and sessions: orphans became this keeper's children.
sub end_leftovers {
  my $until;
  while (1) {
    my $status = pack('i', 0);
    my $result = syscall($call->{wait4}, -1, $status, $WNOHANG, 0);
    return if $result == -1;          # no children are left
    next if $result > 0;
    my $now = now_ms();
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

sub enter_memory_limit {
  my ($order) = @_;
  my ($how, $dir, $bytes) = @{$order}{qw(memory_how memory_dir memory_bytes)};
  return '' unless $how eq 'v1' || $how eq 'v2';
  mkdir($dir, 0755) or $!{EEXIST} or return "cannot make $dir: $!";
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
  my ($how, $dir) = @{$order}{qw(memory_how memory_dir)};
  return unless $how eq 'v1' || $how eq 'v2';
  if (open(my $events, '<', $how eq 'v1' ? "$dir/memory.oom_control" : "$dir/memory.events")) {
    while (my $line = <$events>) { $end->{oom} = 1 if $line =~ /\Aoom_kill ([1-9])/ }
  }
  rmdir($dir);
}

# ------------------------------------------------------------------ the end

# Streams first, then the record, then the news: what is reported is kept.
sub report_end {
  my ($order, $end) = @_;
  my %size = (out => 0, err => 0);
  for my $name (qw(out err)) {
    my $stream = $end->{$name} or next;
    truncate($stream, $order->{stream_bytes}) if ($end->{full} || '') eq $name;
    if ($size{$name} = -s $stream || 0) { syscall($call->{fdatasync}, fileno($stream)) }
    else                                { put_stream_aside($order, $name) }
  }
  my $status = $end->{status} || 0;
  my $flags = join(',', grep { $_ } $end->{oom} ? 'oom' : '', $end->{full} ? "full-$end->{full}" : '',
    defined $end->{launch} ? 'launch' : '');
  my $line = one_line(join(' ', 'E', $status >> 8 & 255, $status & 127, $end->{at}, now_ms(),
    $end->{user_us} || 0, $end->{system_us} || 0, $end->{max_rss_kb} || 0, $size{out}, $size{err},
    $end->{stop} || '-', $end->{why} || '-', $flags || '-', defined $end->{launch} ? $end->{launch} : ''));
  my $half = sprintf("%-255.255s\n", $line);
  write_at($table, $half, $order->{slot} * $SLOT_BYTES + $HALF_BYTES);
  syswrite(STDOUT, "E $order->{key} " . substr($line, 2, 253) . "\n");
}

sub one_line {
  my ($text) = @_;
  $text =~ s/[\0-\x1f]+/ /g;
  return $text;
}
