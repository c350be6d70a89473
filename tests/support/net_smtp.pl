# Perl's Net::SMTP as a client: reads {host, port, hello, steps} from standard input, says one JSON line for each step.
# A step is a list: the name of a method of Net::SMTP and its arguments, or "raw" and a command line, or "offered" and
# a keyword.
use strict;
use warnings;
use JSON::PP;
use Net::SMTP;

my $task = decode_json(do { local $/; <STDIN> });
my $client = Net::SMTP->new($task->{host}, Port => $task->{port}, Hello => $task->{hello}, Timeout => 20)
    or die "no connection: $@";
for my $step (@{ $task->{steps} }) {
    my ($method, @arguments) = @$step;
    my $answer;
    if ($method eq 'offered') {
        $answer = $client->supports($arguments[0]);
    } elsif ($method eq 'raw') {
        $answer = $client->command($arguments[0])->response();
    } elsif ($method eq 'starttls') {
        $answer = $client->starttls(%{ $arguments[0] });
    } elsif ($method eq 'mail') {
        my ($address, $options) = @arguments;
        $answer = $client->mail($address, %{ $options || {} });
    } else {
        $answer = $client->$method(@arguments);
    }
    my $text = join '', $client->message;
    print encode_json({ step => $method, answer => $answer, code => 0 + $client->code, text => $text }), "\n";
}
$client->quit;
