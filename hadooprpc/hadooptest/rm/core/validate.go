package core

import (
	"slices"
)

func (c *Cluster) validate(t *attempt, r *AllocateRequest) error {
	limit := c.Maximum()
	for i := range r.Asks {
		x := &r.Asks[i]
		if err := c.checkAsk(t.app.queue.Name, *x, limit); err != nil {
			return err
		}
		x.Resource = c.normalize(x.Resource)
	}
	if slices.Contains(r.Block, Any) {
		return yarnError("InvalidResourceBlacklistRequestException", "Cannot add * to the blacklist!")
	}
	for _, id := range r.Releases {
		if id.Attempt != t.id && !t.app.keep() {
			return yarnError("InvalidContainerReleaseException", "Cannot release container : %s not belonging to this application attempt : %s", id, t.id)
		}
	}
	return nil
}

// checkAsk refuses sizes and labels that the cluster does not have. Source: SchedulerUtils.validateResourceRequest.
func (c *Cluster) checkAsk(queue string, x Ask, limit Resource) error {
	r := Resource{MemoryMiB: x.Resource.MemoryMiB, VCores: x.Resource.VCores}
	for k, v := range x.Resource.Others {
		if slices.Contains(c.cfg.Types, k) {
			r = plus(r, Resource{Others: map[string]int64{k: v}})
		}
	}
	switch name, negative := beyond(r, limit); {
	case negative:
		return yarnError("InvalidResourceRequestException", "Invalid resource request! Cannot allocate containers as requested resource is less than 0! "+
			"Requested resource type=[%s], Requested resource=%s", name, text(r))
	case name != "":
		return yarnError("InvalidResourceRequestException", "Invalid resource request! Cannot allocate containers as requested resource is greater than "+
			"maximum allowed allocation. Requested resource type=[%s], Requested resource=%s, maximum allowed allocation=%s, "+
			"please note that maximum allowed allocation is calculated by scheduler based on maximum resource of registered NodeManagers, "+
			"which might be less than configured maximum allocation=%s", name, text(r), text(limit), text(c.cfg.Max))
	case x.Label == nil || *x.Label == "":
		return nil
	case x.Name != Any:
		return yarnError("InvalidLabelResourceRequestException", "Invalid resource request, queue=%s specified node label expression in a resource request has resource name = %s", queue, x.Name)
	case !c.HasLabel(*x.Label):
		return yarnError("InvalidLabelResourceRequestException", "Invalid label resource request, cluster do not contain , label= %s", *x.Label)
	}
	return nil
}
