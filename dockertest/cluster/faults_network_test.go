package cluster

import "testing"

// Packets of all rules are added up; the lines above them have numbers, too.
func TestPackets(t *testing.T) {
	const text = `Chain yarnd-cut (1 references)
    pkts      bytes target     prot opt in     out     source               destination         
      12      720 DROP       0    --  *      *       0.0.0.0/0            172.29.1.2          
       3      180 DROP       0    --  *      *       0.0.0.0/0            172.29.1.3          
`
	if n := packets(text); n != 15 {
		t.Errorf("%d packets, want 15", n)
	}
	if n := packets(""); n != 0 {
		t.Errorf("%d packets of no rule", n)
	}
}
