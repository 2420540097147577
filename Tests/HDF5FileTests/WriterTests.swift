import Foundation
import HDF5File
import Testing

@Suite(.enabled(if: Peer.isThere, "needs h5py"))
struct WriterTests {
    @Test
    func `h5py reads what was written, in the layout that was asked for`() throws {
        let folder = try Peer.Folder()
        let path = folder("out.h5")
        let writer = try HDF5Writer(path: path)
        try writer.create(
            HDF5DatasetPlan(
                path: "event_info", element: .int64, shape: [0, 3], maxShape: [nil, 3], chunkShape: [1250, 1]))
        try writer.create(
            HDF5DatasetPlan(
                path: "jets/kin", element: .float32, shape: [0, 4], maxShape: [nil, nil], chunkShape: [64, 2],
                deflateLevel: 4, shuffle: true, fletcher32: true))
        try writer.create(
            HDF5DatasetPlan(
                path: "jets/PFCands", element: .float32, shape: [0, 30, 3], maxShape: [nil, 30, 3],
                chunkShape: [50, 8, 2], deflateLevel: 4))
        try writer.create(HDF5DatasetPlan(path: "label", element: .int8, shape: [1000]))
        let info = (0..<3000).map { Int64($0) - 7 }
        let kin = (0..<4000).map { Float($0) * 0.25 }
        let label = (0..<1000).map { Int8($0 % 5) }
        try label.withUnsafeBytes { try writer.write($0, rows: 0..<1000, to: "label") }
        let counts = (0..<1000).map { UInt32($0 * 7 % 31) }
        for rows in [0..<313, 313..<600, 600..<600, 600..<1000] {
            try info[(rows.lowerBound * 3)..<(rows.upperBound * 3)].withUnsafeBytes {
                try writer.write($0, rows: rows, to: "event_info")
            }
            try kin[(rows.lowerBound * 4)..<(rows.upperBound * 4)].withUnsafeBytes {
                try writer.write($0, rows: rows, to: "jets/kin")
            }
            // Column c, slot s of row r holds r * 100 + s + c / 4 + 1.
            var columns = [[Float]](repeating: [], count: 3)
            for row in rows {
                for (column, slot) in (0..<3).flatMap({ c in (0..<Int(counts[row])).map { (c, $0) } }) {
                    let whole = row * 100 + slot + 1
                    columns[column].append(Float(whole) + Float(column) / 4)
                }
            }
            try counts[rows].withUnsafeBufferPointer { counts in
                try columns[0].withUnsafeBytes { x in
                    try columns[1].withUnsafeBytes { y in
                        try columns[2].withUnsafeBytes { z in
                            try writer.writePadded(counts: counts, columns: [x, y, z], rows: rows, to: "jets/PFCands")
                        }
                    }
                }
            }
        }
        try writer.close()
        let text = try Peer.run(
            """
            import h5py, numpy as np
            f = h5py.File(sys.argv[1])
            assert (f['event_info'][()] == np.arange(3000).reshape(1000, 3) - 7).all()
            assert (f['jets/kin'][()] == np.arange(4000, dtype='f4').reshape(1000, 4) * 0.25).all()
            assert (f['label'][()] == np.arange(1000) % 5).all()
            r, s, c = np.meshgrid(np.arange(1000), np.arange(30), np.arange(3), indexing='ij')
            want = np.where(s < r * 7 % 31, r * 100 + s + 1 + c / 4, 0)
            assert (f['jets/PFCands'][()] == want).all()
            for n in ['event_info', 'jets/kin', 'jets/PFCands', 'label']:
                d = f[n]
                filters = (d.compression, d.compression_opts, d.shuffle, d.fletcher32)
                print(n, d.dtype, d.shape, d.maxshape, d.chunks, *filters)
            """, [path])
        #expect(
            text == """
                event_info int64 (1000, 3) (None, 3) (1250, 1) None None False False
                jets/kin float32 (1000, 4) (None, None) (64, 2) gzip 4 True True
                jets/PFCands float32 (1000, 30, 3) (None, 30, 3) (50, 8, 2) gzip 4 False False
                label int8 (1000,) (1000,) None None None False False

                """)
        let file = try HDF5File(path: path)
        let bytes = try Peer.bytes(path, "jets/PFCands")
        try expectBands(of: try file.dataset("jets/PFCands"), equal: bytes)
    }

    @Test(.enabled(if: !Peer.samples.isEmpty, "needs the folder of sample files"))
    func `A file taken apart and put together again is the same to h5py`() throws {
        let source = Peer.sample("expected_stable_sort.h5")
        let folder = try Peer.Folder()
        let file = try HDF5File(path: source)
        let writer = try HDF5Writer(path: folder("copy.h5"))
        let scratch = HDF5Scratch()
        for info in try file.datasets() {
            let dataset = try file.dataset(info.path)
            try writer.create(
                HDF5DatasetPlan(
                    path: info.path, element: info.element, shape: info.shape, maxShape: info.maxShape,
                    chunkShape: info.chunkShape,
                    deflateLevel: info.filters.first { $0.id == 1 }.flatMap { $0.parameters.first.map { Int($0) } }))
            if info.shape.count == 3 {
                let reader = try PaddedReader([dataset])
                for index in 0..<reader.bandCount {
                    let band = try reader.readBand(index, scratch: scratch)
                    try writer.writePadded(
                        counts: band.counts, columns: reader.elementBytes.indices.map { band.column($0) },
                        rows: band.rows, to: info.path)
                }
            } else {
                let bytes = try dataset.bytes(rows: 0..<info.shape[0])
                try bytes.withUnsafeBytes { try writer.write($0, rows: 0..<info.shape[0], to: info.path) }
            }
        }
        try writer.close()
        try Peer.run(
            """
            import h5py, numpy as np
            a, b = h5py.File(sys.argv[1]), h5py.File(sys.argv[2])
            assert list(a) == list(b)
            for n in a:
                x, y = a[n], b[n]
                assert x.dtype == y.dtype and x.chunks == y.chunks and x.maxshape == y.maxshape, n
                assert x.compression == y.compression and x.compression_opts == y.compression_opts, n
                assert x[()].tobytes() == y[()].tobytes(), n
                # zlib at the same level: the streams agree too.
                if x.compression:
                    for i in range(x.id.get_num_chunks()):
                        k = x.id.get_chunk_info(i).chunk_offset
                        assert x.id.read_direct_chunk(k)[1] == y.id.read_direct_chunk(k)[1], (n, k)
            """, [source, folder("copy.h5")])
    }

    @Test
    func `Impossible plans and rows are refused`() throws {
        let folder = try Peer.Folder()
        let writer = try HDF5Writer(path: folder("out.h5"))
        try writer.create(HDF5DatasetPlan(path: "a", element: .float32, shape: [2, 3]))
        #expect(throws: HDF5Error.self) {
            try writer.write(UnsafeRawBufferPointer(start: nil, count: 0), rows: 0..<1, to: "a")
        }
        #expect(throws: HDF5Error.self) {
            try [Float](repeating: 0, count: 9).withUnsafeBytes { try writer.write($0, rows: 0..<3, to: "a") }
        }
        #expect(throws: HDF5Error.self) {
            try writer.create(HDF5DatasetPlan(path: "b", element: .unsupported("string"), shape: [2]))
        }
        #expect(throws: HDF5Error.self) {
            try writer.create(HDF5DatasetPlan(path: "c", element: .int8, shape: [2], chunkShape: [1, 1]))
        }
        #expect(throws: HDF5Error.self) { try HDF5Writer(path: folder("no/such/folder.h5")) }
    }

    @Test(.enabled(if: FileManager.default.isWritableFile(atPath: "/dev/full"), "needs /dev/full"))
    func `A full disk is an error`() throws {
        #expect(throws: HDF5Error.self) {
            let writer = try HDF5Writer(path: "/dev/full")
            try writer.create(HDF5DatasetPlan(path: "a", element: .int64, shape: [100_000]))
            try [Int64](repeating: 1, count: 100_000).withUnsafeBytes {
                try writer.write($0, rows: 0..<100_000, to: "a")
            }
            try writer.close()
        }
    }
}
