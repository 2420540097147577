import Foundation
import HDF5File
import Testing

@Suite(.enabled(if: Peer.isThere, "needs h5py"))
struct LayoutTests {
    /// What `d0`, `d1`, ... of a file are made of: shape, type, and what goes to `create_dataset`.
    private struct Made {
        var rows: Int
        var slots: Int
        var columns: Int
        var type: String
        var keywords: String

        init(_ rows: Int, _ slots: Int, _ columns: Int, _ type: String, _ keywords: String) {
            (self.rows, self.slots, self.columns, self.type, self.keywords) = (rows, slots, columns, type, keywords)
        }
    }

    /// Writes rows of a few elements, with oddities, and their bytes as h5py reads them back.
    private static func make(_ folder: Peer.Folder, _ made: [Made], version: String = "") throws {
        try Peer.run(
            """
            import h5py, numpy as np
            folder, version, *specs = sys.argv[1:]
            with h5py.File(folder + '/a.h5', 'w', **({'libver': eval(version)} if version else {})) as f:
                for k in range(len(specs) // 5):
                    n, m, c = map(int, specs[5 * k:5 * k + 3])
                    rng = np.random.default_rng(n * 1000 + m * 10 + c)
                    a = (rng.normal(size=(n, m, c)) * 100).astype(specs[5 * k + 3])
                    counts = np.minimum(rng.geometric(0.05, n), m)
                    counts[::17] = 0
                    counts[5::31] = m
                    for i, count in enumerate(counts): a[i, count:] = 0
                    d = f.create_dataset(f'd{k}', data=a, **eval('dict(' + specs[5 * k + 4] + ')'))
                    d[()].astype(d.dtype.newbyteorder('<')).tofile(f'{folder}/d{k}')
            """,
            [folder.path, version]
                + made.flatMap { ["\($0.rows)", "\($0.slots)", "\($0.columns)", $0.type, $0.keywords] })
    }

    private func check(
        _ made: [Made], version: String = "", methods: [HDF5ReadMethod] = HDF5ReadMethod.allCases
    ) throws {
        let folder = try Peer.Folder()
        try Self.make(folder, made, version: version)
        let file = try HDF5File(path: folder("a.h5"))
        for (index, one) in made.enumerated() {
            let dataset = try file.dataset("d\(index)")
            let bytes = try Peer.read(folder("d\(index)"))
            if !version.contains("v110"), let chunks = try dataset.chunks() {
                #expect(chunks.allSatisfy { $0.address != nil }, "the own walk was given up")
            }
            for method in methods {
                #expect(try dataset.bytes(rows: 0..<one.rows, method: method) == bytes)
                try expectBands(of: dataset, equal: bytes, method: method)
            }
        }
    }

    @Test(arguments: [
        (100, "(25,38,3)"), (1000, "(125,19,3)"), (2000, "(250,19,2)"), (1000, "(313,19,2)"), (1500, "(625,10,2)"),
        (1300, "(1250,10,2)"), (700, "(3125,10,1)"), (700, "(15625,5,1)"), (16000, "(15625,5,1)"), (3, "(1,150,11)"),
        (23, "(10,75,6)"), (300, "(128,19,3)"), (64, "(7,7,7)"), (65, "(64,150,11)"), (65, "(1,1,1)"),
        (33, "(2,151,12)"),
    ])
    func `Every chunk shape gives the same rows`(rows: Int, chunk: String) throws {
        let keywords = "chunks=\(chunk), maxshape=(None,None,None), compression='gzip'"
        try check(
            [Made(rows, 150, rows > 10000 ? 2 : 11, "<f4", keywords)],
            methods: rows > 10000 ? [.fastest] : HDF5ReadMethod.allCases)
    }

    @Test(arguments: ["<f4", "<f8", "<i8", "<u8", "<i4", "<i2", "<u2", "|i1", "|u1", ">f4", ">f8", ">i2", ">u8"])
    func `Every element type and byte order gives the same rows`(type: String) throws {
        try check([
            Made(200, 40, 3, type, "chunks=(64,13,2), compression='gzip'"),
            Made(150, 40, 3, type, "chunks=(64,13,3), compression='gzip'"),
            Made(50, 40, 1, type, "chunks=(64,13,1), maxshape=(None,40,1), compression='gzip'"),
            Made(90, 21, 3, type, "chunks=None"),
            Made(90, 21, 3, type, "chunks=(17,21,3), shuffle=True, compression=9, fletcher32=True"),
        ])
    }

    @Test(arguments: [
        "shuffle=True", "fletcher32=True", "shuffle=True, compression='gzip'", "compression='gzip', fletcher32=True",
        "shuffle=True, compression='gzip', fletcher32=True", "compression='lzf'",
        "compression='lzf', shuffle=True, fletcher32=True", "compression='gzip', fillvalue=7", "scaleoffset=0",
    ])
    func `Every filter is undone`(filters: String) throws {
        let type = filters.contains("scaleoffset") ? "<i4" : "<f4"
        let keywords = "chunks=(90,20,2), maxshape=(None,60,5), \(filters)"
        try check(
            [Made(400, 60, 5, type, keywords)],
            methods: filters.contains("lzf") ? [.fastest, .libraryChunks] : HDF5ReadMethod.allCases)
    }

    @Test(arguments: ["('earliest','v108')", "('v108','v108')", "('v110','v110')"])
    func `Files of newer library versions give the same rows`(version: String) throws {
        try check(
            [
                Made(400, 60, 5, "<f4", "chunks=(50,20,2), maxshape=(None,60,5), compression='gzip'"),
                Made(400, 60, 5, "<f4", "chunks=(50,20,2), compression='gzip'"),
                Made(40, 60, 5, "<f4", "chunks=(40,60,5), compression='gzip'"),
                Made(400, 60, 5, "<f4", "chunks=(50,20,2), maxshape=(None,None,5)"),
                Made(40, 60, 5, "<f4", "chunks=None"),
            ], version: version)
    }

    @Test
    func `A dataset too new for libhdf5 is an error in its words, not a missing dataset`() throws {
        let made = Made(400, 60, 5, "<f4", "chunks=(50,20,2), compression='gzip'")
        do {
            try check([made], version: "'latest'")
        } catch let error as HDF5Error {
            #expect(error.code == .library && error.description.contains("d0"), "\(error)")
        }
    }

    @Test
    func `One row and no row are fine`() throws {
        try check([
            Made(1, 150, 11, "<f4", "chunks=True, maxshape=(None,150,11), compression='gzip'"),
            Made(0, 150, 11, "<f4", "chunks=True, maxshape=(None,150,11), compression='gzip'"),
            Made(0, 150, 11, "<f4", "chunks=None"),
        ])
    }

    @Test
    func `Large bands come out the same whether or not their first column tells the counts`() throws {
        let folder = try Peer.Folder()
        try Peer.run(
            """
            import h5py, numpy as np
            rng = np.random.default_rng(8)
            a = np.zeros((9000, 150, 4), '<f4')
            counts = rng.integers(0, 20, 9000)
            for i, n in enumerate(counts): a[i, :n] = rng.normal(size=(n, 4))
            b = a.copy()
            b[5000:, :, 0] = 0
            with h5py.File(sys.argv[1], 'w') as f:
                for name, x in [('sane', a), ('odd', b)]:
                    d = f.create_dataset(name, data=x, chunks=(8000, 5, 1), compression='gzip')
                    x.tofile(sys.argv[1] + name)
            """, [folder("a.h5")])
        let file = try HDF5File(path: folder("a.h5"))
        for name in ["sane", "odd"] {
            let dataset = try file.dataset(name)
            let reader = try PaddedReader([dataset])
            #expect(reader.estimatedBandBytes > 16 << 20)
            try expectBands(of: dataset, equal: try Peer.read(folder("a.h5" + name)))
        }
    }

    @Test
    func `Bit patterns survive and decide what is filled`() throws {
        let folder = try Peer.Folder()
        try Peer.run(
            """
            import h5py, numpy as np
            a = np.zeros((700, 30, 4), '<f4')
            u = a.view('<u4')
            u[0, 0, 0] = 0x80000000          # -0.0 alone
            u[1, 29, 3] = 0x00000001         # the least denormal in the last slot
            u[2, 4, 1] = 0x7fc00001          # NaN with a payload
            u[3, 7, 2] = 0xff800000          # -infinity, all before it zero
            u[4, 0] = 1; u[4, 2] = 1         # an empty slot in the middle
            u[600, 12, 0] = 5                # far from the others
            with h5py.File(sys.argv[1], 'w') as f:
                f.create_dataset('d', data=a, chunks=(100, 8, 3), compression='gzip')
                f.create_dataset('flat', data=a[:, :, 0], chunks=(70, 8), compression='gzip')
            """, [folder("a.h5")])
        let file = try HDF5File(path: folder("a.h5"))
        let dataset = try file.dataset("d")
        try expectBands(of: dataset, equal: try Peer.bytes(folder("a.h5"), "d"))
        let band = try PaddedReader([dataset]).readBand(0, scratch: HDF5Scratch())
        #expect(Array(band.counts.prefix(6)) == [1, 30, 5, 8, 3, 0])
        let flat = try file.dataset("flat")
        try expectBands(of: flat, equal: try Peer.bytes(folder("a.h5"), "flat"))
        let both = try PaddedReader([flat, dataset]).readBand(0, scratch: HDF5Scratch())
        #expect(Array(both.counts.prefix(6)) == [1, 30, 5, 8, 3, 0])
        #expect(both.column(0).count == both.total * 4)
    }

    @Test
    func `Missing, masked and regrown chunks are read as h5py reads them`() throws {
        let folder = try Peer.Folder()
        try Peer.run(
            """
            import h5py, numpy as np
            rng = np.random.default_rng(3)
            with h5py.File(sys.argv[1], 'w') as f:
                k = dict(chunks=(40, 10, 2), maxshape=(None, 25, 3), compression='gzip', dtype='<f4')
                d = f.create_dataset('holes', (300, 25, 3), **k)
                d[80:120, 0:10] = rng.normal(size=(40, 10, 3))
                d[250:300, 15:20] = rng.normal(size=(50, 5, 3))
                k['maxshape'] = (None, 20, 2)
                d = f.create_dataset('masked', data=rng.normal(size=(80, 20, 2)), **k)
                raw = rng.normal(size=(40, 10, 2)).astype('<f4').tobytes()
                d.id.write_direct_chunk((40, 10, 0), raw, filter_mask=1)
                k['maxshape'] = (None, 25, 3)
                d = f.create_dataset('regrown', data=rng.normal(size=(300, 25, 3)), **k)
                d.resize((95, 25, 3)); d.resize((200, 25, 3))
                d = f.create_dataset('filled', (300, 25, 3), fillvalue=-1.5, **k)
                d[100:101] = 3
                f.create_dataset('never', (300, 25, 3), **k)
                f.create_dataset('nowhere', (300, 25, 3), dtype='<f4')
            """, [folder("a.h5")])
        let file = try HDF5File(path: folder("a.h5"))
        for info in try file.datasets() {
            let dataset = try file.dataset(info.path)
            let bytes = try Peer.bytes(folder("a.h5"), info.path)
            for method in HDF5ReadMethod.allCases {
                #expect(try dataset.bytes(rows: 0..<info.shape[0], method: method) == bytes, "\(info.path) \(method)")
                try expectBands(of: dataset, equal: bytes, method: method)
            }
            if let chunks = try dataset.chunks() {
                #expect(chunks.count == info.chunkCount)
                #expect(chunks.allSatisfy { $0.address != nil })
            }
        }
        let masked = try #require(try file.dataset("masked").chunks())
        #expect(masked.map(\.filterMask) == [0, 0, 0, 1])
    }

    @Test
    func `A user block and an index of several levels are read past the library`() throws {
        let folder = try Peer.Folder()
        let text = try Peer.run(
            """
            import h5py, numpy as np
            with h5py.File(sys.argv[1], 'w', userblock_size=1024) as f:
                f['plain'] = np.arange(5000, dtype='<i8')
                d = f.create_dataset('d', data=np.arange(1, 18001, dtype='<i4').reshape(9000, 2), chunks=(1, 1))
            with h5py.File(sys.argv[1]) as f:
                for i in range(0, 18000, 997):
                    c = f['d'].id.get_chunk_info(i)
                    print(c.chunk_offset[0], c.chunk_offset[1], c.byte_offset, c.size)
            """, [folder("a.h5")])
        let file = try HDF5File(path: folder("a.h5"))
        let chunks = try #require(try file.dataset("d").chunks())
        #expect(chunks.count == 18000)
        let lines = text.split(separator: "\n").map(String.init)
        let ours = stride(from: 0, to: 18000, by: 997).map { index in
            let chunk = chunks[index]
            return "\(chunk.corner[0]) \(chunk.corner[1]) \(chunk.address ?? -1) \(chunk.storedBytes)"
        }
        #expect(ours == lines)
        for name in ["d", "plain"] {
            let bytes = try Peer.bytes(folder("a.h5"), name)
            #expect(try denseBytes(try file.dataset(name), method: .fastest, step: 4096) == bytes)
        }
    }

    @Test
    func `Many threads read one file at once`() throws {
        let folder = try Peer.Folder()
        try Self.make(folder, [Made(3000, 50, 5, "<f4", "chunks=(100,19,2), compression='gzip'")])
        let bytes = try Peer.read(folder("d0"))
        let file = try HDF5File(path: folder("a.h5"))
        let dataset = try file.dataset("d0")
        for method in HDF5ReadMethod.allCases {
            let reader = try PaddedReader([dataset], method: method)
            try expectSame(reader, bytes)
        }
    }

    private func expectSame(_ reader: PaddedReader, _ bytes: [UInt8]) throws {
        let whole = Plain(bytes, rows: 0..<3000, slots: 50, columns: 5, size: 4)
        DispatchQueue.concurrentPerform(iterations: reader.bandCount) { index in
            let band = try? reader.readBand(index, scratch: HDF5Scratch())
            #expect(band.map { Array($0.counts) } == Array(whole.counts[reader.rows(ofBand: index)]))
        }
    }
}
