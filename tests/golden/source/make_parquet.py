"""Prints parquet.jsonl: Parquet files of many kinds, and what pandas 3.1 reads from them."""
import base64
import datetime
import io
import json
import logging
import warnings

warnings.simplefilter('ignore'); logging.disable(logging.CRITICAL)
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.pyfunc.scoring_server import parse_parquet_input
from mlflow.exceptions import MlflowException
def desc(x):
    return {"type":"DataFrame","index":[str(i) for i in range(len(x.index))],"columns":[{"name": c if isinstance(c,str) else int(c),"dtype":str(x.dtypes.iloc[i]),"values":[repr(v) for v in x.iloc[:,i]]} for i,c in enumerate(x.columns)]}
cases={}
def add(name, df, **kw):
    b=io.BytesIO(); df.to_parquet(b, **kw); cases[name]=b.getvalue()
def addt(name, t, **kw):
    b=io.BytesIO(); pq.write_table(t,b,**kw); cases[name]=b.getvalue()
allt=pa.table({'i8':pa.array([1,-2,None],pa.int8()),'i8f':pa.array([1,-2,3],pa.int8()),'i16':pa.array([1,-2,3],pa.int16()),'i32':pa.array([1,-2,2**31-1],pa.int32()),'i64':pa.array([1,-2,2**63-1]),
 'u8':pa.array([1,255,3],pa.uint8()),'u16':pa.array([1,65535,3],pa.uint16()),'u32':pa.array([1,2**32-1,3],pa.uint32()),'u64':pa.array([1,2**64-1,3],pa.uint64()),
 'u32n':pa.array([1,2**32-1,None],pa.uint32()),'u64n':pa.array([1,2**64-1,None],pa.uint64()),'i64n':pa.array([None,2,3]),
 'f16':pa.array(np.array([1,2.5,0.1],dtype='float16')),'f32':pa.array([0.1,None,3],pa.float32()),'f64':pa.array([0.1,None,3]),'b':pa.array([True,False,True]),'bn':pa.array([True,None,False]),
 's':pa.array(['a','é',None]),'sf':pa.array(['a','b','c']),'sn':pa.array([None,None,None],pa.string()),'bin':pa.array([b'a',b'\xff',None]),'fix':pa.array([b'ab',b'cd',b'ef'],pa.binary(2)),
 'null':pa.array([None,None,None]),'ls':pa.array(['x','y','z'],pa.large_string())})
addt('types',allt)
addt('types-v2',allt,data_page_version='2.0',compression='gzip')
addt('types-nodict',allt,use_dictionary=False,compression='none')
addt('types-groups',allt,row_group_size=1)
addt('types-small-pages',pa.concat_tables([allt]*40),data_page_size=16,write_batch_size=4)
addt('delta',pa.table({'a':list(range(50)),'s':[f'text{i%7}' for i in range(50)]}),use_dictionary=False,column_encoding={'a':'DELTA_BINARY_PACKED','s':'DELTA_BYTE_ARRAY'})
addt('split',pa.table({'f':[0.5,1.5,-2.25]}),use_dictionary=False,column_encoding={'f':'BYTE_STREAM_SPLIT'})
addt('required',pa.table([pa.array([1,2])],schema=pa.schema([pa.field('a',pa.int64(),nullable=False)])))
ts=pa.table({'ms':pa.array([1,None],pa.timestamp('ms')),'us':pa.array([1704164645000678,2],pa.timestamp('us')),'ns':pa.array([1,2],pa.timestamp('ns')),'s':pa.array([1704164645,2],pa.timestamp('s'))})
addt('times',ts); addt('times-v1',ts.drop(['ns']),version='1.0'); addt('int96',ts,use_deprecated_int96_timestamps=True)
addt('zoned',pa.table({'z':pa.array([1,2],pa.timestamp('us',tz='UTC'))}))
add('pandas',pd.DataFrame({'a':[1,2],'b':['x',None]}))
add('pandas-index',pd.DataFrame({'a':[1,2]},index=[5,7]))
add('pandas-named-index',pd.DataFrame({'a':[1,2],'k':['x','y']}).set_index('k'))
add('pandas-multi',pd.DataFrame({'a':[1,2],'k':['x','y'],'m':[1,1]}).set_index(['k','m']))
add('pandas-intcols',pd.DataFrame(np.array([[1.,2.]])))
add('pandas-empty',pd.DataFrame({'a':pd.Series([],dtype='float64'),'b':pd.Series([],dtype=object)}))
add('pandas-norows-nocols',pd.DataFrame())
add('pandas-category',pd.DataFrame({'c':pd.Categorical(['x','y','x'])}))
add('pandas-nullable',pd.DataFrame({'c':pd.array([1,None],dtype='Int64'),'d':pd.array([1,2],dtype='Int64'),'b':pd.array([True,None],dtype='boolean'),'s':pd.array(['x',None],dtype='string')}))
add('pandas-date',pd.DataFrame({'c':[datetime.date(2024,1,2)]}))
addt('decimal',pa.table({'d':pa.array([1,2],pa.decimal128(5,2))}))
addt('nested',pa.table({'l':[[1,2],[3]],'a':[1,2]}))
addt('struct',pa.table({'l':[{'x':1}],'a':[1]}))
addt('dup',pa.table([pa.array([1]),pa.array([2])],names=['a','a']))
addt('zstd',pa.table({'a':[1]}),compression='zstd'); addt('lz4',pa.table({'a':[1]}),compression='lz4'); addt('brotli',pa.table({'a':[1]}),compression='brotli')
addt('bomb-cells',pa.table({'n':pa.array(np.zeros(5_000_000,dtype='int8'))}))
addt('bomb-text',pa.table({'s':pa.array(['x'*1000]*100_000)}))
addt('bomb-page',pa.table({'s':pa.array(['x'*100_000_000])}),use_dictionary=False,compression='zstd')
good=cases['pandas']
for n in (0,4,7): cases[f'short-{n}']=good[:n]
cases['footer-too-long']=b'PAR1\xff\xff\xff\x7fPAR1'; cases['magic']=b'x'*20
for name,b in cases.items():
    out={'id':name,'body_b64':base64.b64encode(b).decode()}
    # pandas reads these too, but nobody wants to see what.
    if name.startswith('bomb'):
        print(json.dumps(out))
        continue
    try: out['ok']=desc(parse_parquet_input(io.BytesIO(b)))
    except MlflowException as e: out['parse']=e.message.split('Error: ',1)[1]
    print(json.dumps(out))
