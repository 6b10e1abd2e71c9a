# Carries out the job commands of several tasks beside each other, for one attempt of the server's: a process that keeps
# each of them would cost more than most of them do. Standard input: for each task its path, its try, its mark and its
# command, each followed by a NUL. Standard output: `MARK STATUS` for each command that has ended. A command that ended
# badly is told to the server at once, by ecflow_client, which goes on trying while the server is away. Perl without any
# module starts in two milliseconds.
use strict;
use warnings;

my $client = $ARGV[0];
my $orders = do { local $/; <STDIN> } // '';
my @orders = split(/\0/, $orders, -1);
pop @orders;
open(STDIN, '<', '/dev/null');

my %task_of;    # what runs: process => its task
while (my ($path, $try, $mark, $command) = splice(@orders, 0, 4)) {
  my $task = { path => $path, try => $try, mark => $mark };
  my $process = run('/bin/sh', '-c', $command);
  if (defined $process) { $task_of{$process} = $task }
  else {
    ended($task, 127);
  }
}
while ((my $process = wait()) > 0) {
  my $task = delete $task_of{$process} or next;
  ended($task, $? & 127 ? 128 + ($? & 127) : $? >> 8);
}

# Starts a program in a group of its own; its words go to our standard error, because ours are reports.
sub run {
  my @words = @_;
  my $process = fork();
  return $process if !defined($process) || $process;
  setpgrp(0, 0);
  open(STDOUT, '>&', \*STDERR);
  exec { $words[0] } @words or exit 127;
}

sub ended {
  my ($task, $status) = @_;
  syswrite(STDOUT, "$task->{mark} $status\n");
  return if $status == 0;
  local @ENV{'ECF_NAME', 'ECF_TRYNO', 'ECF_PASS', 'NO_ECF'} = ($task->{path}, $task->{try}, $task->{mark}, '');
  run('/bin/sh', $client, "--job_command_ended=$status");
}
