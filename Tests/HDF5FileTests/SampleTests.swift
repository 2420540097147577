import HDF5File
import Testing

@Suite(.enabled(if: Peer.isThere && !Peer.samples.isEmpty, "needs h5py and the folder of sample files"))
struct SampleTests {
    @Test(arguments: Peer.samples)
    func `Every dataset equals what h5py reads, by each way of reading`(name: String) throws {
        let path = Peer.sample(name)
        let file = try HDF5File(path: path)
        let infos = try file.datasets()
        #expect(infos.count >= 4)
        for info in infos {
            let bytes = try Peer.bytes(path, info.path)
            let dataset = try file.dataset(info.path)
            for method in HDF5ReadMethod.allCases {
                if method == .library, info.filters.contains(where: { $0.id == 32000 }) {
                    #expect(throws: HDF5Error.self) { try dataset.bytes(rows: 0..<1, method: method) }
                    continue
                }
                let found = try dataset.bytes(rows: 0..<info.shape[0], method: method)
                #expect(found == bytes, "\(info.path) by \(method)")
                if info.shape.count <= 2 {
                    #expect(try denseBytes(dataset, method: method, step: 1000) == bytes, "\(info.path) by \(method)")
                    #expect(try denseBytes(dataset, method: method, step: 117) == bytes, "\(info.path) by \(method)")
                }
                if info.shape.count >= 2 { try expectBands(of: dataset, equal: bytes, method: method) }
            }
        }
    }

    @Test(arguments: Peer.samples)
    func `The listing and the chunk index say what h5py says`(name: String) throws {
        let path = Peer.sample(name)
        let lines = try Peer.run(
            """
            import h5py
            def show(name, d):
                if not isinstance(d, h5py.Dataset): return
                chunks = []
                if d.chunks is not None:
                    for i in range(d.id.get_num_chunks()):
                        c = d.id.get_chunk_info(i)
                        chunks.append(f'{list(c.chunk_offset)} {c.byte_offset} {c.size} {c.filter_mask}')
                plist = d.id.get_create_plist()
                filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
                print('|'.join([name, str(list(d.shape)), str(list(d.maxshape)).replace('None', 'nil'), str(d.dtype),
                    str(list(d.chunks or [])), str(filters), str(d.id.get_storage_size()), ';'.join(chunks)]))
            with h5py.File(sys.argv[1], 'r') as f: f.visititems(show)
            """, [path]
        ).split(separator: "\n").map(String.init)
        let file = try HDF5File(path: path)
        let ours = try file.datasets().map { info in
            let chunks = try file.dataset(info.path).chunks() ?? []
            let words = chunks.map { "\($0.corner) \($0.address ?? -1) \($0.storedBytes) \($0.filterMask)" }
            #expect(info.chunkCount ?? 0 == chunks.count)
            let most = "[" + info.maxShape.map { $0.map(String.init) ?? "nil" }.joined(separator: ", ") + "]"
            return [
                info.path, "\(info.shape)", most, "\(info.element)", "\(info.chunkShape ?? [])",
                "\(info.filters.map(\.id))", "\(info.storedBytes)", words.joined(separator: ";"),
            ].joined(separator: "|")
        }
        #expect(ours == lines.sorted())
    }

    @Test
    func `Attributes are shown as people write them`() throws {
        let file = try HDF5File(path: Peer.sample("aoj_other_layout.h5"))
        let attributes = try file.attributes()
        #expect(attributes.map(\.name) == ["columns", "generator"])
        #expect(attributes[1].value.isEmpty == false)
        #expect(attributes[0].value.hasPrefix("["))
    }

    @Test
    func `Two datasets that share their padding are read together`() throws {
        let file = try HDF5File(path: Peer.sample("aoj_other_layout.h5"))
        let first = try file.dataset("jets/constituents")
        let second = try file.dataset("jets/weights_lzf")
        let reader = try PaddedReader([first, second])
        let scratch = HDF5Scratch()
        let left = try first.bytes(rows: 0..<300)
        let right = try second.bytes(rows: 0..<300)
        // Joined by hand: six columns, then the plain loop.
        var joined: [UInt8] = []
        for slot in 0..<300 * 150 {
            joined += left[(slot * 20)..<(slot * 20 + 20)]
            joined += right[(slot * 4)..<(slot * 4 + 4)]
        }
        for index in 0..<reader.bandCount {
            let band = try reader.readBand(index, scratch: scratch)
            let plain = Plain(joined, rows: band.rows, slots: 150, columns: 6, size: 4)
            #expect(Array(band.counts) == plain.counts)
            for column in 0..<6 { #expect(Array(band.column(column)) == plain.columns[column]) }
        }
    }
}
