def check(world): 
    for g in world.groups:
        for m in g.members:
            for f in m.failures:
                world.bus.counts[f"failure {f!r}"[:150]]+=1
