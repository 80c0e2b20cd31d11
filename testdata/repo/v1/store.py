import base64,os,random,hashlib
random.seed(4)
R='src/vmail/example.com'
def w(p,b,m=0o600,t=1700000000.25):
    os.makedirs(os.path.dirname(p),exist_ok=True)
    open(p,'wb').write(b); os.chmod(p,m); os.utime(p,(t,t))
words=[w_.strip() for w_ in "mail kept until somebody calls for it the repository holds pieces and clumps every night costs what changed nothing is skipped silently a message to many is stored once".split()]
def text(n): return '\n'.join(' '.join(random.choice(words) for _ in range(11)) for _ in range(n))+'\n'
def mail(i,body,extra=''): return (f"Return-Path: <sender{i}@example.org>\nDelivered-To: alice@example.com\nReceived: from a by b; {i}\nFrom: Sender {i} <sender{i}@example.org>\nTo: alice@example.com\nSubject: message {i}\nMessage-ID: <{i}@example.org>\nDate: Mon, 1 Jan 2024 00:00:{i%60:02d} +0000\n{extra}\n"+body).encode()
att=bytes(random.randrange(256) for _ in range(30000))
def lines(n,e='\n'):
    s=base64.b64encode(att).decode(); return e.join(s[i:i+n] for i in range(0,len(s),n))+e
def mp(i,n,e='\n'):
    h=mail(i,'','MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n').decode()
    return (h+"--b\nContent-Type: text/plain\n\n"+text(60)+"--b\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n").replace('\n',e).encode()+lines(n,e).encode()+f"{e}--b--{e}".encode()
A=R+'/alice/Maildir/'
for i in range(6): w(A+f'cur/{1700000000+i}.M1P1.mx,S=1:2,S',mail(i,text(5+i*12)),t=1700000000+i)
w(A+'cur/1700000100.M1P1.mx:2,',mp(100,76),t=1700000100)
w(A+'new/1700000101.M1P1.mx',mp(101,60,'\r\n'),t=1700000101)
w(A+'.Sent/cur/1700000102.M1P1.mx:2,RS',mp(102,72),t=1700000102)
w(A+'.&AMk-t&AOk-/cur/1700000103.M1P1.mx:2,F',mail(103,text(3)),t=-86400.5)
for d in ('cur','new','tmp','.Sent/new','.Sent/tmp'): os.makedirs(A+d,exist_ok=True)
w(A+'dovecot-uidlist',b'3 V1 N8 G0\n'+b'1 :1700000000.M1P1.mx\n')
w(R+'/alice/sieve/main.sieve',b'keep;\n',0o644,10413792000)
os.symlink('sieve/main.sieve',R+'/alice/.dovecot.sieve')
os.makedirs(R+'/bob/Maildir/cur',exist_ok=True); os.makedirs(R+'/bob/Maildir/new'); os.makedirs(R+'/bob/Maildir/tmp')
os.link(A+'cur/1700000003.M1P1.mx,S=1:2,S',R+'/bob/Maildir/cur/1700000003.M1P1.mx,S=1:2,')
w(R+'/bob/empty',b'')
w(R+'/carol',b''.join(b'From s@example.org Mon Jan  1 00:00:00 2024\n'+mail(1000+i,text(9))+b'\n' for i in range(260)),0o660)
w('src/vmail/README',b'nobody\'s\n',0o640)
