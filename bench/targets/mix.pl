# SPDX-License-Identifier: MIT
# Hashes, arrays and strings; run with PERL_HASH_SEED=0.
use strict;
use warnings;

srand(1);
my $sum = 0;
for my $round (1 .. 3) {
	my (%records, %index);
	for my $i (1 .. 50000) {
		my $key = "key" . int(rand(200000));
		push @{$records{$key}},
		    { id => $i, name => "n$i", v => [$i, $i * 2] };
		$index{substr($key, 0, 5)}{$key}++;
	}
	for my $part (sort keys %index) {
		$sum += @{$records{$_}} * length for sort keys %{$index{$part}};
	}
	$sum += length join ' ', map {
		join ',', map { $_->{name} } @{$records{$_}}
	} sort keys %records;
}
print "mix: $sum\n";
