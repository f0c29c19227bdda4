/**
 * Names that Python 2 gave to what Python 3 calls otherwise: pickles of protocols 0 to 2 carry the old ones, also
 * when Python 3 wrote them. The pairs are those of Python's `Lib/_compat_pickle.py`.
 */
import { Global } from './global';

/** Modules that were renamed as a whole: old=new. */
const MODULES = `
BaseHTTPServer=http.server CGIHTTPServer=http.server ConfigParser=configparser Cookie=http.cookies
Dialog=tkinter.dialog DocXMLRPCServer=xmlrpc.server FileDialog=tkinter.filedialog
HTMLParser=html.parser Queue=queue ScrolledText=tkinter.scrolledtext
SimpleDialog=tkinter.simpledialog SimpleHTTPServer=http.server SimpleXMLRPCServer=xmlrpc.server
SocketServer=socketserver StringIO=io Tix=tkinter.tix Tkconstants=tkinter.constants
Tkdnd=tkinter.dnd Tkinter=tkinter UserDict=collections UserList=collections UserString=collections
__builtin__=builtins _abcoll=collections.abc _elementtree=xml.etree.ElementTree _winreg=winreg
anydbm=dbm cPickle=pickle cStringIO=io commands=subprocess cookielib=http.cookiejar
copy_reg=copyreg dbhash=dbm.bsd dbm=dbm.ndbm dumbdbm=dbm.dumb dummy_thread=_dummy_thread
gdbm=dbm.gnu htmlentitydefs=html.entities httplib=http.client markupbase=_markupbase repr=reprlib
robotparser=urllib.robotparser test.test_support=test.support thread=_thread
tkColorChooser=tkinter.colorchooser tkCommonDialog=tkinter.commondialog
tkFileDialog=tkinter.filedialog tkFont=tkinter.font tkMessageBox=tkinter.messagebox
tkSimpleDialog=tkinter.simpledialog ttk=tkinter.ttk urllib2=urllib.request urlparse=urllib.parse
whichdb=dbm xmlrpclib=xmlrpc.client`;

/** Names that moved to another module: old module, old name = new module, new name. */
const NAMES = `
UserDict.IterableUserDict=collections.UserDict UserDict.UserDict=collections.UserDict
UserList.UserList=collections.UserList UserString.UserString=collections.UserString
__builtin__.basestring=builtins.str __builtin__.intern=sys.intern __builtin__.long=builtins.int
__builtin__.reduce=functools.reduce __builtin__.unichr=builtins.chr
__builtin__.unicode=builtins.str __builtin__.xrange=builtins.range
_multiprocessing.Connection=multiprocessing.connection.Connection _socket.fromfd=socket.fromfd
exceptions.StandardError=builtins.Exception itertools.ifilter=builtins.filter
itertools.ifilterfalse=itertools.filterfalse itertools.imap=builtins.map
itertools.izip=builtins.zip itertools.izip_longest=itertools.zip_longest
multiprocessing.AuthenticationError=multiprocessing.context.AuthenticationError
multiprocessing.BufferTooShort=multiprocessing.context.BufferTooShort
multiprocessing.ProcessError=multiprocessing.context.ProcessError
multiprocessing.TimeoutError=multiprocessing.context.TimeoutError
multiprocessing.forking.Popen=multiprocessing.popen_fork.Popen
multiprocessing.process.Process=multiprocessing.context.Process
socket._socketobject=socket.SocketType
urllib.ContentTooShortError=urllib.error.ContentTooShortError
urllib.getproxies=urllib.request.getproxies urllib.pathname2url=urllib.request.pathname2url
urllib.quote=urllib.parse.quote urllib.quote_plus=urllib.parse.quote_plus
urllib.unquote=urllib.parse.unquote urllib.unquote_plus=urllib.parse.unquote_plus
urllib.url2pathname=urllib.request.url2pathname urllib.urlcleanup=urllib.request.urlcleanup
urllib.urlencode=urllib.parse.urlencode urllib.urlopen=urllib.request.urlopen
urllib.urlretrieve=urllib.request.urlretrieve urllib2.HTTPError=urllib.error.HTTPError
urllib2.URLError=urllib.error.URLError whichdb.whichdb=dbm.whichdb`;

const modules = new Map<string, string>();
for (const pair of MODULES.trim().split(/\s+/)) {
  const [old, now] = pair.split('=') as [string, string];
  modules.set(old, now);
}
modules.set('exceptions', 'builtins');

const names = new Map<string, Global>();
for (const pair of NAMES.trim().split(/\s+/)) {
  const [old, now] = pair.split('=') as [string, string];
  const dot = now.lastIndexOf('.');
  names.set(old, Global.of(now.slice(0, dot), now.slice(dot + 1)));
}

/** The global that Python 3 means by a name in a pickle of protocol 0, 1 or 2. */
export function currentName(global: Global): Global {
  const named = names.get(`${global.module}.${global.name}`);
  if (named !== undefined) return named;
  const module = modules.get(global.module);
  return module === undefined ? global : Global.of(module, global.name);
}
