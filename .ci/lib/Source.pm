# Reads Rust files for .ci/layout, .ci/lines and .ci/words. Needs only the Perl of a bare Debian.
package Source;
use strict;
use warnings FATAL => 'all';

# Returns the paths of all Rust files below a folder, sorted.
sub files {
    my @folders = @_;
    my @found;
    while (defined(my $folder = shift @folders)) {
        opendir my $entries, $folder or die "$folder: $!\n";
        for my $entry (grep { !/^\./ } readdir $entries) {
            my $path = "$folder/$entry";
            if (-d $path) { push @folders, $path }
            elsif ($path =~ /\.rs$/) { push @found, $path }
        }
    }
    return sort @found;
}

sub text {
    my ($path) = @_;
    open my $file, '<', $path or die "$path: $!\n";
    local $/;
    return scalar <$file>;
}

# Replaces each character, so that what follows keeps its line.
sub fill {
    my ($text, $by) = @_;
    $text =~ s/[^\n]/$by/g;
    return $text;
}

# Splits a file into its code, where comments are blanks and strings are dots, and its comments, as
# [line number, text] with the text after the slashes: those for rustdoc, and the others.
sub parse {
    my ($text) = @_;
    my ($code, $line, @docs, @comments) = ('', 1);
    while (1) {
        my $from = pos($text) // 0;
        if ($text =~ /\G(\/\/[^\n]*)/gc) {
            my $comment = $1;
            if ($comment =~ m{^//(?:/(?!/)|!) ?(.*)}) { push @docs, [$line, $1] }
            elsif ($comment =~ m{^//+ ?(.*)}) { push @comments, [$line, $1] }
            $code .= fill($comment, ' ');
        }
        elsif ($text =~ /\G\/\*/gc) {
            my $depth = 1;
            $depth += $1 eq '/*' ? 1 : -1 while $depth && $text =~ /\G.*?(\/\*|\*\/)/gcs;
            $code .= fill(substr($text, $from, pos($text) - $from), ' ');
        }
        elsif ($text =~ /\G(\b[bc]?r(#*)".*?"\2)/gcs) { $code .= fill($1, '.') }
        elsif ($text =~ /\G("(?:[^"\\]|\\.)*")/gcs) { $code .= fill($1, '.') }
        elsif ($text =~ /\G('(?:\\(?:x..|u\{[^}]*\}|.)|[^\\'\n])')/gc) { $code .= fill($1, '.') }
        elsif ($text =~ /\G(\w+|\s+|.)/gcs) { $code .= $1 }
        else { last }
        $line += substr($text, $from, pos($text) - $from) =~ tr/\n//;
    }
    return { code => $code, docs => \@docs, comments => \@comments };
}

# Blanks what is compiled for tests only, from its attribute to the end of its item.
sub without_tests {
    my ($code) = @_;
    return fill($code, ' ') if $code =~ /#!\[cfg\(test\)\]/;
    while ($code =~ /#\[cfg\((?:test|doctest|all\(test\b[^\]]*)\)\]/g) {
        my $from = $-[0];
        my $until = item_end($code, pos $code);
        substr($code, $from, $until - $from) = fill(substr($code, $from, $until - $from), ' ');
        pos($code) = $until;
    }
    return $code;
}

# Finds the end of the item that begins here: its first `;`, or the `}` of its first block.
sub item_end {
    my ($code, $at) = @_;
    my $import = substr($code, $at) =~ /^(?:\s*#\[[^\]]*\])*\s*(?:pub\S*\s+)?use\b/;
    my $depth = 0;
    pos($code) = $at;
    while ($code =~ /([\[\](){};])/g) {
        my $mark = $1;
        return pos $code if $mark eq ';' && !$depth;
        $depth++ if $mark =~ /[\[({]/;
        $depth-- if $mark =~ /[\])}]/;
        return pos $code if $mark eq '}' && !$depth && !$import;
    }
    return length $code;
}

# Names the files that a `mod` declares for tests only.
sub test_modules {
    my ($code) = @_;
    return $code =~ /#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub\S*\s+)?mod\s+(\w+)\s*;/g;
}

1;
