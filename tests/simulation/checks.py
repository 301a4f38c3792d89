def check(world): 
    pass
