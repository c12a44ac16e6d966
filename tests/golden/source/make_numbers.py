"""Prints numbers.txt: the bits of doubles, chosen at edges and at random, and what Python's repr makes of them."""
import random
import struct

random.seed(20261121)
out=[]
def add(x):
    if x!=x or x in (float('inf'),float('-inf')): return
    out.append((struct.unpack('>Q',struct.pack('>d',x))[0], repr(x)))
for x in [0.0,-0.0,1.0,-1.0,5e-324,2.2250738585072014e-308,2.225073858507201e-308,1.7976931348623157e308,0.1,0.2,0.3,1/3,2/3,9007199254740991.0,9007199254740992.0,9007199254740993.0,123456789012345678.0,1e22,1e23,8.41e21,9.5e-5,9.999999999999999e-5,1.0000000000000002e-4,9999999999999998.0,1.0000000000000002e16]:
    add(x); add(-x)
for e in range(-324,309):
    add(float(f'1e{e}'))
for e in range(-8,20):
    for _ in range(12):
        add(float(f'{random.uniform(1,10):.{random.randint(0,16)}f}e{e}')*random.choice([1,-1]))
for _ in range(500):
    add(struct.unpack('>d',random.getrandbits(64).to_bytes(8,'big'))[0])
for _ in range(500):
    add(struct.unpack('>f',random.getrandbits(32).to_bytes(4,'big'))[0])
for e in range(-45,39,2):
    for m in (1,3.4028234,2.5):
        try: add(struct.unpack('>f',struct.pack('>f',m*10.0**e))[0])
        except OverflowError: pass
for e in range(-1074,1024,11):
    add(2.0**e); 
print('# The bits of a double in hexadecimal, and its repr in Python 3.11; the doubles widened from float32 are the ones with 29 zero bits.')
for b,r in out: print(f'{b:016x} {r}')
