"""Prints csv.jsonl: CSV bodies and signatures made at random, and what pandas 3.1 and MLflow 3.17 make of them.

Takes a seed and a number of cases: `PYTHONHASHSEED=0 make_csv.py 2 1200`.
"""
import io
import json
import logging
import random
import re
import sys
import warnings

warnings.simplefilter('ignore'); logging.disable(logging.CRITICAL)
import pandas as pd
from mlflow.types import Schema
from mlflow.pyfunc.scoring_server import parse_csv_input
from mlflow.models.utils import _enforce_schema
from mlflow.exceptions import MlflowException
random.seed(int(sys.argv[1])); N=int(sys.argv[2])
pool_num=['1','2','-3','0','1.5','-0.25','1e5','1E-3','','NA','nan','inf','-inf','true','False','TRUE','x','hello','9223372036854775808','18446744073709551615','99999999999999999999','-9223372036854775809','3000000000','1_000',' 7 ','1 ','\t2','+5','5.','.5','.','1e','NULL','None','<NA>','-nan','#N/A','n/a','NAN','0x10','1,5','a "q"','é','2024-01-02','007','0.1','1.0','2.0','1e400','-0','--1','Infinity','+INF','1.7976931348623157e308','4.9e-324','123456789012345678','0.30000000000000004']
def quote(s,force=False):
    if force or any(c in s for c in ',"\n\r') : return '"'+s.replace('"','""')+'"'
    return s
def case():
    w=random.randint(1,4); r=random.choice([0,1,1,2,2,3,5])
    names=[random.choice(['a','b','c','d','x y','é','a','','a.1','Unnamed: 0']) for _ in range(w)]
    nl=random.choice(['\n','\n','\n','\r\n','\r'])
    cols=[]
    for _ in range(w):
        k=random.random()
        sub=random.sample(pool_num, random.choice([1,1,2,3]))
        if k<.3: sub=random.choice([['1','2','3'],['1.5','2'],['true','false'],['0','1'],['x','y'],['1',''],['1.0','2.0','-3.0']])
        cols.append(sub)
    lines=[','.join(quote(n, random.random()<.1) for n in names)]
    for i in range(r):
        cells=[quote(random.choice(c), random.random()<.1) for c in cols]
        q=random.random()
        if q<.05: cells=cells[:-1]
        elif q<.1: cells.append('9')
        lines.append(','.join(cells))
        if random.random()<.08: lines.append(random.choice(['','  ','\t']))
    body=nl.join(lines)+random.choice([nl,nl,''])
    if random.random()<.05: body='\ufeff'+body
    if random.random()<.06:
        p=random.randrange(len(body)+1); body=body[:p]+random.choice(['"',',','\n','\r','""',' '])+body[p:]
    k=random.random()
    if k<.3: cols=None
    else:
        types=['boolean','integer','long','float','double','double','string','binary']
        if k<.85: cols=[{'type':random.choice(types),'name':n,'required':random.random()<.5} for n in dict.fromkeys(n for n in names+['zz'] if n and (n!='zz' or random.random()<.1)) ]
        else: cols=[{'type':random.choice(types)} for _ in range(w+random.choice([0,0,0,1,-1]))]
        if not cols: cols=None
    return body, cols
def desc(x):
    return {"type":"DataFrame","index":[str(i) for i in range(len(x.index))],"columns":[{"name": c if isinstance(c,str) else int(c),"dtype":str(x.dtypes.iloc[i]),"values":[repr(v) for v in x.iloc[:,i]]} for i,c in enumerate(x.columns)]}
for i in range(N):
    body,cols=case()
    schema=None if cols is None else Schema.from_json(json.dumps(cols))
    out={'body':body,'inputs':None if cols is None else json.dumps(cols)}
    # After a blank line that ends with a lone carriage return pandas loses the first, empty field of a line.
    if re.search(r'\r[ \t]*\r,', body):
        continue
    try:
        df=parse_csv_input(io.StringIO(body),schema)
        try:
            if schema is not None: df=_enforce_schema(df,schema)
            out['ok']=desc(df)
        except Exception as e: out['schema']=str(e).rsplit('Error: ',1)[-1]
    except MlflowException as e: out['parse']=e.message.split('Error: ',1)[1]
    print(json.dumps(out))
