# The quick half of ecflow_client: what jobs say about themselves, over plain HTTP to a numeric address. Perl without any
# module starts in two milliseconds; jobs call it several times each. Everything else is bin/ecflow_client's own.
use strict;
use warnings;

my ($word, @rest) = @ARGV;
my $url = $ENV{SWITCHYARD_ECFLOW_URL};
exit 0 if length($ENV{NO_ECF} // '');
die_with('ECF_NAME is not set', 2) unless length($ENV{ECF_NAME} // '');
unshift @rest, $1 if $word =~ s/^(?:--\w+)\K=(.*)//s;

my %members;
my $target = 'status';
if ($word eq '--init') {
  $ENV{ECF_RID} = $rest[0] if @rest;
  %members = (action => 'init');
} elsif ($word eq '--complete') {
  %members = (action => 'complete');
} elsif ($word eq '--abort') {
  %members = (action => 'abort', abort_why => @rest ? "@rest" : 'Trap raised in job file');
} elsif ($word eq '--event') {
  $target = 'attributes';
  %members = (type => 'event', name => need('a name'), value => $rest[1] // 'set');
} elsif ($word eq '--meter') {
  $target = 'attributes';
  %members = (type => 'meter', name => need('a name'), value => $rest[1] // die_with('a value is missing', 2));
} elsif ($word eq '--label') {
  $target = 'attributes';
  my $name = need('a name');
  shift @rest;
  %members = (type => 'label', name => $name, value => "@rest");
} else {
  die_with("$word is not known here", 2);
}
$members{"ECF_$_"} = $ENV{"ECF_$_"} // ($_ eq 'TRYNO' ? '1' : '') for qw(NAME PASS RID TRYNO);
my $body = '{' . join(',', map { quote($_) . ':' . quote($members{$_}) } sort keys %members) . '}';

my ($host, $port) = $url =~ m{^http://([\d.]+|localhost):(\d+)/?$} or die_with("$url is not an address", 2);
$host = '127.0.0.1' if $host eq 'localhost';
my $request = "PUT /v1/suites$ENV{ECF_NAME}/$target HTTP/1.1\r\nHost: $host:$port\r\nConnection: close\r\n"
  . "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";

# Tried again while the server is away or full: a job must not die of that.
my $patience = $ENV{ECF_TIMEOUT} // 86400;
my ($waited, $pause) = (0, 1);
while (1) {
  my ($status, $answer) = ask();
  exit 0 if $status >= 200 && $status < 300;
  my $is_passing = $status == 0 || $status == 409 || $status == 429 || ($status >= 500 && $status != 501);
  if (!$is_passing || $waited >= $patience) {
    die_with($status == 0 ? "no answer from $url" : $answer, 1);
  }
  select(undef, undef, undef, $pause);
  $waited += $pause;
  $pause *= 2 if $pause < 10;
}

# The status and body of one request; 0 when there was no whole answer.
sub ask {
  socket(my $socket, 2, 1, 0) or return (0, '');
  connect($socket, pack('S n C4 x8', 2, $port, split /\./, $host)) or return (0, '');
  local $SIG{PIPE} = 'IGNORE';
  my $sent = 0;
  while ($sent < length $request) {
    my $count = syswrite($socket, $request, length($request) - $sent, $sent) or return (0, '');
    $sent += $count;
  }
  my $text = '';
  while (sysread($socket, my $piece, 65536)) { $text .= $piece }
  my ($head, $answer) = split /\r\n\r\n/, $text, 2;
  return $text =~ m{^HTTP/1\.\d (\d{3})} && defined $answer ? ($1, $answer) : (0, '');
}

sub need {
  my ($what) = @_;
  return length($rest[0] // '') ? $rest[0] : die_with("$what is missing", 2);
}

sub quote {
  my ($text) = @_;
  $text =~ s/([\\"])/\\$1/g;
  $text =~ s/([\x00-\x1f])/sprintf '\\u%04x', ord $1/ge;
  return "\"$text\"";
}

sub die_with {
  my ($text, $code) = @_;
  print STDERR "ecflow_client: $text\n";
  exit $code;
}
