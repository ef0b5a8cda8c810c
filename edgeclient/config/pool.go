package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Pool is a further pool of workers as flags and files have it:
//
//	N|MIN:MAX[,memory=SIZE][,vcores=N][,gpus=N][,RESOURCE=N][,label=LABEL][,max-per-node=N][,opportunistic]
type Pool struct {
	Workers    int // with Max of 0; else it scales between Min and Max
	Min, Max   int
	Memory     int64 // bytes; 0: as the workers'
	VCores     int   // 0: as the workers'
	Named      map[string]int64
	Label      string // "": as the application's
	MaxPerNode int    // workers on a node at a time; 0: any number
	// Opportunistic has its containers make room for guaranteed ones at any time.
	Opportunistic bool
}

// GPU is YARN's name of graphics processors.
const GPU = "yarn.io/gpu"

const poolForm = "N or MIN:MAX, then ,memory=SIZE ,vcores=N ,gpus=N ,RESOURCE=N ,label=LABEL ,max-per-node=N ,opportunistic as needed"

var (
	poolName     = regexp.MustCompile(PoolPattern)
	resourceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?$`)
	labelName    = regexp.MustCompile(LabelPattern)
)

// PoolPattern is what names of pools are like.
const PoolPattern = `^[a-z][a-z0-9-]{0,62}$`

var pools = Kind{Name: "map", Shape: Map, Want: "a map of NAME: " + poolForm, name: poolName, tags: []string{"!!int"}, check: func(s string) error {
	_, err := ParsePool(s)
	return err
}}

// ParsePool reads a pool.
func ParsePool(s string) (Pool, error) {
	var p Pool
	many, rest, more := strings.Cut(s, ",")
	if n, err := strconv.Atoi(strings.TrimSpace(many)); err == nil {
		if p.Workers = n; n < 0 || n > MaxWorkers {
			return p, fmt.Errorf("%d workers are not within 0 to %d", n, MaxWorkers)
		}
	} else if p.Min, p.Max, err = ParseLimits(many); err != nil {
		return p, fmt.Errorf("%q is no pool: it is %s", s, poolForm)
	}
	if !more {
		return p, nil
	}
	for item := range strings.SplitSeq(rest, ",") {
		if strings.TrimSpace(item) == "opportunistic" {
			p.Opportunistic = true
			continue
		}
		key, value, ok := strings.Cut(strings.TrimSpace(item), "=")
		if !ok || value == "" {
			return p, fmt.Errorf("%q is no part of a pool, which is %s", item, poolForm)
		}
		if err := p.set(key, value); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (p *Pool) set(key, value string) (err error) {
	switch key {
	case "memory":
		if p.Memory, err = ParseBytes(value); err == nil && (p.Memory < MinMemory || p.Memory > MaxMemory) {
			err = fmt.Errorf("memory of %s is not within %s to %s", value, FormatBytes(MinMemory), FormatBytes(MaxMemory))
		}
		return err
	case "vcores":
		if p.VCores, err = strconv.Atoi(value); err != nil || p.VCores < 1 || p.VCores > MaxVCores {
			return fmt.Errorf("%q is no number of vcores from 1 to %d", value, MaxVCores)
		}
		return nil
	case "max-per-node":
		if p.MaxPerNode, err = strconv.Atoi(value); err != nil || p.MaxPerNode < 1 || p.MaxPerNode > MaxWorkers {
			return fmt.Errorf("%q is no number of workers on a node from 1 to %d", value, MaxWorkers)
		}
		return nil
	case "label":
		if p.Label = value; !labelName.MatchString(value) {
			return fmt.Errorf("%q is no node label", value)
		}
		return nil
	case "gpus":
		key = GPU
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if !resourceName.MatchString(key) || err != nil || n < 1 {
		return fmt.Errorf("%s=%s is no part of a pool, which is %s", key, value, poolForm)
	}
	if key != GPU && !strings.ContainsAny(key, "/.") { // a slip of the pen, rather than a resource
		return fmt.Errorf("a pool has no %q: it is %s", key, poolForm)
	}
	if p.Named == nil {
		p.Named = map[string]int64{}
	}
	p.Named[key] = n
	return nil
}
