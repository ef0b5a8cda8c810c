package config

import (
	"reflect"
	"testing"
)

func TestParsePool(t *testing.T) {
	for text, want := range map[string]Pool{
		"3":   {Workers: 3},
		"0:4": {Max: 4},
		"1:4,memory=8GiB,vcores=4,gpus=2,label=fast": {Min: 1, Max: 4, Memory: 8 << 30, VCores: 4, Label: "fast", Named: map[string]int64{GPU: 2}},
		"0:9,opportunistic,vcores=2":                 {Max: 9, VCores: 2, Opportunistic: true},
		"5,max-per-node=1":                           {Workers: 5, MaxPerNode: 1},
		"2, yarn.io/fpga=1":                          {Workers: 2, Named: map[string]int64{"yarn.io/fpga": 1}},
	} {
		if got, err := ParsePool(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "-1", "99999", "4:1", "0:0", "1,", "1,memory", "1,memory=", "1,memory=1", "1,vcores=0", "1,gpus=0", "1,gpus=x", "1,gpu=1", "1,label=a b", "1,opportunistic=yes", "1,max-per-node=0", "1,max-per-node=-1", "1,max-per-node=x", "1,max-per-node", "opportunistic", "1,,", "memory=1GiB"} {
		if got, err := ParsePool(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func FuzzParsePool(f *testing.F) {
	for _, s := range []string{"", "3", "0:4,memory=8GiB,vcores=4,gpus=2,label=fast", "1:2,yarn.io/fpga=1", "1,,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePool(s)
		if err == nil && (p.Workers < 0 || p.Min > p.Max || p.Memory < 0 || p.VCores < 0 || p.Workers > 0 && p.Max > 0) {
			t.Errorf("%q is %+v", s, p)
		}
	})
}
