import Foundation
import Testing

/// `pando inspect` against h5py and pyarrow.
@Suite(.serialized) struct InspectTests {
    /// A dataset of several inputs with many small record batches in several shards.
    static let dataset: (folder: InspectSupport.Folder, path: String)? = {
        guard let folder = try? InspectSupport.Folder() else { return nil }
        let path = folder("jets.pando")
        let arguments =
            ["convert"] + InspectSupport.inputs.prefix(3) + [path, "--batch-rows", "100", "--shard-size", "300kB"]
        guard let outcome = try? InspectSupport.run(InspectSupport.binary, arguments), outcome.status == 0 else {
            return nil
        }
        // Statics live to the end; files would outlive it.
        atexit { InspectTests.dataset.map { try? FileManager.default.removeItem(atPath: $0.folder.path) } }
        return (folder, path)
    }()

    /// Runs a script that prints what does not agree.
    private func expectAgreement(_ script: String, _ arguments: [String]) throws {
        let outcome = try InspectSupport.python(script, arguments)
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output == "")
    }

    private func save(_ outcome: InspectSupport.Outcome, _ folder: InspectSupport.Folder) throws -> String {
        #expect(outcome.status == 0, "\(outcome.errors)")
        return try folder.write(Array(outcome.output.utf8), UUID().uuidString)
    }

    @Test(.enabled(if: InspectSupport.canCompare))
    func `Numbers of a dataset are those of its inputs`() throws {
        let path = try #require(Self.dataset).path
        let folder = try InspectSupport.Folder()
        let json = try save(try InspectSupport.pando("inspect", path, "--json"), folder)
        try expectAgreement(
            """
            import h5py, numpy as np, os
            d = json.load(open(sys.argv[1]))
            files = [h5py.File(p, 'r') for p in sys.argv[3:]]
            def check(what, found, expected):
                if not np.isclose(found, expected, rtol=1e-9, atol=1e-12): print(what, found, expected)
            cands = [f['PFCands'][()] for f in files]
            counts = np.concatenate([150 - (c != 0).any(2)[:, ::-1].argmax(1) * (c != 0).any((1, 2))
                                     - 150 * ~(c != 0).any((1, 2)) for c in cands])
            check('rows', d['rows'], len(counts)); check('constituents', d['constituents'], counts.sum())
            check('full', d['fullJets'], (counts == 150).sum())
            check('splits', sum(s['rows'] for s in d['splits']), len(counts))
            check('inputs', d['bytes']['inputs'], sum(os.path.getsize(p) for p in sys.argv[3:]))
            size = sum(os.path.getsize(os.path.join(r, n)) for r, _, ns in os.walk(sys.argv[2]) for n in ns)
            check('bytes', d['bytes']['all'], size); check('ratio', d['bytes']['ratio'], size / d['bytes']['inputs'])
            cols = {c['name']: c for c in d['columns']}
            jets = {'run': ('event_info', 0), 'event': ('event_info', 2), 'jet_pt': ('jet_kinematics', 0),
                    'jet_eta': ('jet_kinematics', 1), 'jet_tau1': ('jet_tagging', 1)}
            for name, (ds, i) in jets.items():
                v = np.concatenate([f[ds][:, i] for f in files]).astype(np.float64)
                c = cols[name]
                for key, e in [('minimum', v.min()), ('maximum', v.max()), ('mean', v.mean()), ('count', len(v))]:
                    check(name + ' ' + key, c[key], e)
            real = np.concatenate([c[np.arange(150) < n[:, None]] for c, n in
                zip(cands, np.split(counts, np.cumsum([len(c) for c in cands])[:-1]))]).astype(np.float64)
            pt = np.hypot(real[:, 0], real[:, 1])
            if not np.isclose(cols['pt']['mean'], pt.mean(), rtol=1e-5): print('pt', cols['pt']['mean'], pt.mean())
            check('pdgId', cols['pdgId']['mean'], real[:, 9].mean())
            check('bytes of columns', cols['pt']['bytesEach'] * len(real), cols['pt']['bytes'])
            # deta in units, not in steps of the lattice.
            if not 0.3 < cols['deta']['maximum'] < 3: print('deta', cols['deta']['maximum'])
            for c in d['columns']:
                if c.get('histogram') and c.get('notFinite', 0) == 0 and 'constituent' != c['role']:
                    check('histogram ' + c['name'], sum(c['histogram']['counts']), d['sample']['rows'])
            """, [json, path] + InspectSupport.inputs.prefix(3))
    }

    private static let compareJets = """
        import h5py, numpy as np
        d = json.load(open(sys.argv[1])); first, end = int(sys.argv[2]), int(sys.argv[3])
        files = {}
        if [j['row'] for j in d['jets']] != list(range(first, end)): print('rows', [j['row'] for j in d['jets']])
        names = 'px py pz E d0 d0Err dz dzErr charge pdgId puppiWeight'.split()
        kin, tag = ['jet_pt', 'jet_eta', 'jet_phi', 'jet_msoftdrop'], [None, 'jet_tau1', 'jet_tau2']
        for j in d['jets']:
            name = j.get('input') or sys.argv[4 + j['values']['source']]
            f = files.setdefault(name, h5py.File(name, 'r')); r = j['inputRow']
            v, c = j['values'], j['constituents']
            if list(f['event_info'][r]) != [v['run'], v['lumi'], v['event']]: print(r, 'event')
            if f['jet_kinematics'][r].tobytes() != np.array([v[k] for k in kin], np.float32).tobytes(): print(r, 'jet')
            if f['jet_tagging'][r][1:3].tobytes() != np.array([v[k] for k in tag[1:]], np.float32).tobytes(): print(r)
            n = j['constituentCount']
            found = np.stack([np.array([float(x) for x in c[k]], np.float64) for k in names], 1)
            source = f['PFCands'][r]
            if source[n:].any() or found.shape[0] != n: print(r, 'count', n)
            # Equal as they are, not only after rounding to float32.
            if (found.astype(np.float32).astype(np.float64) != found).any(): print(r, 'not float32')
            if found.astype(np.float32).tobytes() != source[:n].tobytes(): print(r, 'constituents')
            s = source[:n].astype(np.float64)
            if not np.allclose(c['eta'], np.arcsinh(s[:, 2] / np.hypot(s[:, 0], s[:, 1]))): print(r, 'eta')
        """

    @Test(.enabled(if: InspectSupport.canCompare), arguments: [0..<120, 450..<453, 700..<701])
    func `Rows are bit for bit those of the inputs`(rows: Range<Int>) throws {
        let path = try #require(Self.dataset).path
        let folder = try InspectSupport.Folder()
        let range = "\(rows.lowerBound)..\(rows.upperBound)"
        let json = try save(try InspectSupport.pando("inspect", path, "--rows", range, "--json"), folder)
        try expectAgreement(Self.compareJets, [json, "\(rows.lowerBound)", "\(rows.upperBound)"])
    }

    @Test(.enabled(if: InspectSupport.canCompare))
    func `A shard by itself gives the same rows`() throws {
        let path = try #require(Self.dataset).path + "/shards/00000.arrow"
        let folder = try InspectSupport.Folder()
        let json = try save(try InspectSupport.pando("inspect", path, "--rows", "98..103", "--json"), folder)
        try expectAgreement(Self.compareJets, [json, "98", "103"] + InspectSupport.inputs.prefix(3))
        let overview = try InspectSupport.pando("inspect", path)
        #expect(overview.output.contains("shard of a dataset"))
        #expect(overview.output.contains("list<float16>"))
        #expect(overview.output.contains("on the lattice of CMS"))
    }

    @Test(.enabled(if: InspectSupport.canCompare))
    func `An event is found as a scan finds it`() throws {
        let path = try #require(Self.dataset).path
        try expectAgreement(
            """
            import subprocess
            binary, path = sys.argv[1:]
            def run(*a): return subprocess.run([binary, 'inspect', path, '--json', *a], capture_output=True, text=True)
            rows = json.loads(run('--rows', '0').stdout)['rows']
            jets = json.loads(run('--rows', f'0..{rows}', '--columns', 'run,lumi,event').stdout)['jets']
            events = {}
            for j in jets: events.setdefault(tuple(j['values'][k] for k in ('run', 'lumi', 'event')), []).append(j['row'])
            many = sorted(events, key=lambda e: -len(events[e]))[:5]
            closed = 0
            for e in many + sorted(events)[:: max(1, len(events) // 10)]:
                d = json.loads(run('--event', ':'.join(map(str, e))).stdout)
                if [j['row'] for j in d['jets']] != events[e]: print(e, events[e])
                if d['search']['found'] != len(events[e]): print(e, d['search'])
                closed += d['search']['batches'] - d['search']['opened']
            if closed == 0: print('no batch was left closed')
            absent = run('--event', '1:2:3')
            if absent.returncode != 1 or json.loads(absent.stdout)['jets'] != []: print('absent', absent)
            if 'no jet is from event 1:2:3' not in absent.stderr: print(absent.stderr)
            """, [InspectSupport.binary, path])
    }

    @Test(.enabled(if: InspectSupport.hasPyarrow))
    func `A file of pyarrow is shown as pyarrow reads it`() throws {
        let folder = try InspectSupport.Folder()
        let made = try InspectSupport.python(
            """
            import pyarrow as pa, numpy as np, datetime
            t = pa.table({
                'i': pa.array([1, None, -3], pa.int32()), 'u': pa.array([0, 2**64 - 1, 5], pa.uint64()),
                'x': pa.array([0.1, float('nan'), -0.0], pa.float32()), 's': ['a"b', '\\x1b[31m\\n', 'ü'],
                'l': pa.array([[1, None], [], None], pa.list_(pa.float64())), 'b': [True, False, None],
                'when': pa.array([datetime.datetime(2016, 1, 1)] * 3)}).replace_schema_metadata({'note': 'made here'})
            with pa.ipc.new_file(sys.argv[1], t.schema) as f: f.write_table(t, max_chunksize=2)
            """, [folder("t.dat")])
        #expect(made.status == 0, "\(made.errors)")
        let overview = try save(try InspectSupport.pando("inspect", folder("t.dat"), "--json"), folder)
        let rows = try save(try InspectSupport.pando("inspect", folder("t.dat"), "--rows", "0..3", "--json"), folder)
        try expectAgreement(
            """
            import math
            d, r = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
            if (d['kind'], d['rows'], d['batchRows']) != ('arrow', 3, [2, 1]): print(d['kind'], d['rows'], d['batchRows'])
            types = [(c['name'], c['type'], c.get('nulls')) for c in d['columns']]
            if types != [('i', 'int32', 1), ('u', 'uint64', 0), ('x', 'float32', 0), ('s', 'utf8', 0),
                         ('l', 'list<float64>', 1), ('b', 'bool', 1), ('when', 'timestamp', None)]: print(types)
            if d['metadata'] != [{'key': 'note', 'value': 'made here'}]: print(d['metadata'])
            v = [x['values'] for x in r['values']]
            if [x['i'] for x in v] != [1, None, -3] or [x['b'] for x in v] != [True, False, None]: print(v)
            if [x['u'] for x in v] != [0, str(2**64 - 1), 5] or [x['s'] for x in v] != ['a"b', '\\x1b[31m\\n', 'ü']: print(v)
            if v[0]['x'] != 0.10000000149011612 or v[1]['x'] != 'NaN' or math.copysign(1, v[2]['x']) != -1: print(v)
            if [x['l'] for x in v] != [[1.0, None], [], None] or v[0]['when'] is not None: print(v)
            """, [overview, rows])
        // Text from a file does not steer the terminal.
        #expect(!(try InspectSupport.pando("inspect", folder("t.dat"), "--rows", "1").output.contains("\u{1b}")))
    }

    @Test(.enabled(if: InspectSupport.canCompare))
    func `An HDF5 file is shown as h5py sees it`() throws {
        let folder = try InspectSupport.Folder()
        let made = try InspectSupport.python(
            """
            import h5py, numpy as np
            f = h5py.File(sys.argv[1], 'w', userblock_size=1024)
            f.attrs['who'] = 'a test'; f.create_group('g').attrs['n'] = np.arange(3)
            d = f.create_dataset('g/x', data=np.zeros((50, 4), '>f4'), chunks=(20, 4), maxshape=(None, 4),
                                 compression='gzip', compression_opts=7, shuffle=True, fletcher32=True)
            d.attrs['unit'] = 'GeV'; f['words'] = ['a', 'b']
            """, [folder("x.bin")])
        #expect(made.status == 0, "\(made.errors)")
        for path in [folder("x.bin")] + InspectSupport.inputs.prefix(2) {
            let json = try save(try InspectSupport.pando("inspect", path, "--json"), folder)
            try expectAgreement(
                """
                import h5py
                d, f = json.load(open(sys.argv[1])), h5py.File(sys.argv[2], 'r')
                expected = {}
                f.visititems(lambda n, o: expected.update({n: o}) if isinstance(o, h5py.Dataset) else None)
                if d['kind'] != 'hdf5' or sorted(x['path'] for x in d['datasets']) != sorted(expected): print(d)
                for x in d['datasets']:
                    o = expected[x['path']]
                    found = (x['shape'], x['maxShape'], x.get('chunkShape'), x['storedBytes'])
                    wanted = (list(o.shape), list(o.maxshape), list(o.chunks) if o.chunks else None, o.id.get_storage_size())
                    if found != wanted: print(x['path'], found, wanted)
                    if ('deflate' in [y['name'] for y in x['filters']]) != (o.compression == 'gzip'): print(x['filters'])
                    if sorted(a['name'] for a in x['attributes']) != sorted(o.attrs): print(x['attributes'])
                    if o.dtype.kind != 'O' and x['type'] != o.dtype.newbyteorder('=').name: print(x['type'], o.dtype)
                    if (x['byteOrder'] == 'big') != (o.dtype.byteorder == '>'): print(x['byteOrder'])
                if sorted(a['name'] for a in d['groups'][0]['attributes']) != sorted(f.attrs): print(d['groups'])
                """, [json, path])
        }
        let text = try InspectSupport.pando("inspect", folder("x.bin")).output
        #expect(text.contains("shuffle(4) then deflate(7) then fletcher32") && text.contains("[unlimited, 4]"))
        #expect(text.contains("@unit (string): GeV") && text.contains("@n (int64 [3]): [0, 1, 2]"))
    }
}
