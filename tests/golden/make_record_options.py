"""What MXNet 1.9.1's ImageRecordIter and its kin return for each option whose result is not random:
data/record_options.npz, beside the record files and mean images that they read (data/smooth*).

Run it beside make_golden.py, with the same Python. The images are smooth, so that one resampling
can be compared with MXNet's two or three. `CASES` are the calls; paths are below data/. The array
"<case>, written" is the mean image that MXNet wrote. data/record_chunks.json says where MXNet cuts
a file into chunks, for `CHUNK_CASES`.
"""

import json
import os
import tempfile

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
# Width and height; the last is smaller than most crops.
SIZES = [(60, 50), (41, 77), (90, 33), (24, 20)]
# For detection: header's width, object's width; class, left, top, right, bottom, of two objects.
LABEL = [2, 5, 0, 0.2, 0.3, 0.5, 0.7, 1, 0.55, 0.1, 0.9, 0.5]
SMALL, MIDDLE, LARGE, MEAN = (3, 30, 28), (3, 60, 50), (3, 80, 70), (3, 20, 22)
# A mean image that does not exist yet: MXNet computes and writes it.
NEW = "new.nd"


def call(data_shape, iterator="ImageRecordIter", records="smooth3", **options):
    """An iterator's name and its arguments, without those that all have in common."""
    return iterator, {"path_imgrec": records + ".rec", "data_shape": data_shape, **options}


def detection(data_shape=MEAN, records="smooth3", **options):
    """The same of ImageDetRecordIter."""
    return call(data_shape, "ImageDetRecordIter", records, **options)


def scaled(scale):
    """The options of a fixed scale."""
    return {"min_random_scale": scale, "max_random_scale": scale}


def aspect(ratio):
    """The options of a fixed aspect ratio."""
    return {"min_aspect_ratio": ratio, "max_aspect_ratio": ratio}


def square(side):
    """The options of a fixed crop size."""
    return {"min_crop_size": side, "max_crop_size": side}


CASES = {
    "plain": call(SMALL),
    "plain, large": call(LARGE),
    "rotate 30": call(SMALL, rotate=30),
    "rotate 45": call(SMALL, rotate=45, fill_value=0),
    "rotate 90": call(SMALL, rotate=90),
    "rotate 180": call(SMALL, rotate=180, fill_value=7),
    "rotate 400": call(SMALL, rotate=400, fill_value=0),
    "rotate 30, resize": call(SMALL, rotate=30, resize=40),
    "rotate 45, resize": call(SMALL, rotate=45, resize=40, fill_value=0),
    "rotate 90, resize": call(SMALL, rotate=90, resize=40),
    "rotate 180, resize": call(SMALL, rotate=180, resize=40),
    "rotate negative": call(SMALL, rotate=-30),
    "rotate_list": call(SMALL, rotate_list="-20", rotate=90),
    "rotate, enlarge": call(LARGE, rotate=30, fill_value=128),
    "rotate, mirror": call((3, 36, 18), rotate=20, mirror=True),
    "rotate, no border": call(SMALL, rotate=15, resize=60),
    "rotate, method 2": call(SMALL, rotate=30, inter_method=2),
    "rotate, method 3": call(SMALL, rotate=30, inter_method=3),
    "rotate, method 4": call(SMALL, rotate=30, inter_method=4),
    "rotate, method 9": call(SMALL, rotate=30, inter_method=9),
    "pad, fill 0": call(MIDDLE, pad=6, fill_value=0),
    "pad, fill 7": call(MIDDLE, pad=6, fill_value=7),
    "pad, fill 255": call(MIDDLE, pad=6),
    "pad, fill 300": call(MIDDLE, pad=6, fill_value=300),
    "pad, fill -5": call(MIDDLE, pad=6, fill_value=-5),
    "pad negative": call(SMALL, pad=-3),
    "pad, crop inside": call(SMALL, pad=2),
    "pad, wide": call((3, 100, 90), pad=40, fill_value=7),
    "pad, enlarge": call(LARGE, pad=2, fill_value=128),
    "pad, enlarge, method 9": call(LARGE, pad=2, fill_value=128, inter_method=9),
    "pad, resize": call((3, 44, 44), pad=4, resize=36, fill_value=128),
    "rotate, pad": call(MIDDLE, rotate=20, pad=6, fill_value=128),
    "rotate, pad, resize": call((3, 40, 36), rotate=75, pad=3, resize=30),
    "rotate, pad, resize, enlarge": call(LARGE, rotate=30, pad=3, resize=45, fill_value=128),
    "scale 0.5": call((3, 16, 14), **scaled(0.5)),
    "scale 0.5, enlarge": call(SMALL, **scaled(0.5)),
    "scale 0.75": call(SMALL, **scaled(0.75)),
    "scale 1.5": call(SMALL, **scaled(1.5)),
    "scale 1.5, method 2": call(SMALL, inter_method=2, **scaled(1.5)),
    "scale 1.5, method 9": call(SMALL, inter_method=9, **scaled(1.5)),
    "scale 1.5, rotate, pad": call(MIDDLE, rotate=30, pad=4, **scaled(1.5)),
    "largest size": call(SMALL, max_img_size=40, fill_value=0),
    "smallest size": call((3, 60, 60), min_img_size=60.5, fill_value=0),
    "scale within sizes": call(
        SMALL, min_img_size=34, max_img_size=40, fill_value=0, **scaled(0.7)
    ),
    "aspect 1.5": call(SMALL, **aspect(1.5)),
    "aspect 0.6": call(SMALL, **aspect(0.6)),
    "aspect 0": call(SMALL, max_aspect_ratio=0.0),
    "aspect 1.2, rotate, scale": call(SMALL, rotate=40, **aspect(1.2), **scaled(1.3)),
    "crop size": call(SMALL, **square(20)),
    "crop size, shrink": call((3, 9, 14), **square(20)),
    "crop size, method 9": call(SMALL, inter_method=9, **square(20)),
    "crop size, method 2": call(SMALL, inter_method=2, **square(20)),
    "crop size, rotate, pad": call(
        (3, 20, 18), rotate=20, pad=3, fill_value=128, **square(24)
    ),
    "crop size, resize, mirror": call((3, 24, 26), resize=36, mirror=True, **square(32)),
    "resized crop of all": call(SMALL, random_resized_crop=True),
    "resized crop, pad": call(MIDDLE, random_resized_crop=True, pad=6),
    "resized crop, rotate": call(SMALL, random_resized_crop=True, rotate=30),
    "area without resized crop": call(SMALL, min_random_area=0.2),
    "gray, rotate, pad": call((1, 36, 34), records="smooth1", rotate=30, pad=3, fill_value=9),
    "gray, normalize": call((1, 20, 22), records="smooth1", mean_r=10.0, mean_g=20.0, std_r=2.0),
    "RGBA, rotate": call((4, 20, 18), records="smooth4", rotate=30),
    "RGBA, pad": call((4, 60, 40), records="smooth4", pad=5),
    "RGBA, enlarge": call((4, 40, 40), records="smooth4"),
    "uint8, rotate": call(SMALL, rotate=30, dtype="uint8", scale=0.5),
    "int8, pad": call(MIDDLE, pad=6, dtype="int8", mean_r=128.0),
    "normalize, pad": call(MIDDLE, pad=6, mean_g=50.0, std_r=2.0, scale=0.25, mirror=True),
    "device_id -1": call(SMALL, device_id=-1),
    "device_id 3": call(SMALL, device_id=3),
    "aug_seq": call(SMALL, aug_seq="aug_default"),
    "shuffle chunks unused": call(SMALL, shuffle_chunk_size=8, shuffle_chunk_seed=3),
    "v1": call(SMALL, "ImageRecordIter_v1", rotate=30, mirror=True),
    "v1, normalize": call(MEAN, "ImageRecordIter_v1", mean_r=10.0, std_g=4.0, scale=0.5),
    "v1, mean_img": call(MEAN, "ImageRecordIter_v1", mean_img="smooth_mean.nd"),
    "v1, mean_img absent": call(MEAN, "ImageRecordIter_v1", mean_img=NEW),
    "v1, uint8": call(SMALL, "ImageRecordUInt8Iter_v1", rotate=30, mean_r=10.0),
    "UInt8Iter": call(SMALL, "ImageRecordUInt8Iter", rotate=30, mirror=True, mean_r=10.0),
    "Int8Iter": call(SMALL, "ImageRecordInt8Iter", rotate=30, mirror=True, mean_r=128.0),
    "mean_img": call(MEAN, mean_img="smooth_mean.nd", mean_r=99.0),
    "mean_img, unnamed": call(MEAN, mean_img="smooth_mean_list.nd"),
    "mean_img, mirror": call(MEAN, mean_img="smooth_mean.nd", mirror=True),
    "mean_img, scale": call(MEAN, mean_img="smooth_mean.nd", scale=0.25, std_r=4.0, std_b=2.0),
    "mean_img, rotate": call(MEAN, mean_img="smooth_mean.nd", rotate=30),
    "mean_img, uint8": call(MEAN, mean_img="smooth_mean.nd", dtype="uint8"),
    "mean_img, int8": call(
        MEAN, mean_img="smooth_mean.nd", dtype="int8", mean_r=9.0, mirror=True
    ),
    "mean_img absent": call(MEAN, mean_img=NEW),
    "mean_img absent, resize": call((3, 24, 20), mean_img=NEW, resize=30),
    "mean_img absent, gray": call((1, 20, 22), records="smooth1", mean_img=NEW),
    "mean_img absent, RGBA": call((4, 20, 22), records="smooth4", mean_img=NEW),
    "detection": detection(),
    "detection, resize": detection(resize=40),
    "detection, resize, fit": detection((3, 40, 40), resize=30, resize_mode="fit"),
    "detection, method 2": detection(inter_method=2),
    "detection, gray": detection((1, 20, 22), "smooth1"),
    "detection, RGBA": detection((4, 20, 22), "smooth4"),
    "detection, aug_seq": detection(aug_seq="det_aug_default"),
    "detection, shuffle chunks unused": detection(shuffle_chunk_size=8, shuffle_chunk_seed=3),
    "detection, mirror": detection(rand_mirror_prob=1.0),
    "detection, mean_img": detection(mean_img="smooth_mean.nd"),
    "detection, mean_img, mean": detection(mean_img="smooth_mean.nd", mean_g=9.0),
    "detection, mean_img, negative mean": detection(mean_img="smooth_mean.nd", mean_g=-9.0),
    "detection, mean_img, scale": detection(
        mean_img="smooth_mean.nd", scale=0.25, std_r=4.0, std_b=-2.0
    ),
    "detection, mean_img, mirror": detection(mean_img="smooth_mean.nd", rand_mirror_prob=1.0),
    "detection, mean_img absent": detection(mean_img=NEW),
}

# Of a file of so many records of about 100,000 bytes, 23.1 MiB.
CHUNK_RECORDS, CHUNK_EPOCHS = 240, 12
CHUNK_CASES = {
    "4": {"shuffle_chunk_size": 4},
    "5": {"shuffle_chunk_size": 5},
    "8": {"shuffle_chunk_size": 8},
    "30": {"shuffle_chunk_size": 30},
    "4, part": {"shuffle_chunk_size": 4, "num_parts": 2, "part_index": 1},
}


def arguments(case, folder):
    """All arguments of a case; a new mean image is in `folder`."""
    iterator, options = CASES[case]
    named = {"batch_size": 1, "preprocess_threads": 1, "verbose": False, **options}
    if iterator != "ImageDetRecordIter":
        named["label_width"] = len(LABEL)
    for name in ("path_imgrec", "path_imgidx", "mean_img"):
        if name in named:
            within = folder if named[name] == NEW else DATA
            named[name] = os.path.join(within, named[name])
    return named


def smooth(seed, width, height, channels):
    """uint8 (height, width, channels): waves of at least 40 pixels."""
    import numpy as np

    random = np.random.RandomState(seed)
    y, x = np.mgrid[:height, :width]
    planes = []
    for _ in range(channels):
        plane = np.full((height, width), 128.0)
        for _ in range(3):
            length, turn, phase = random.uniform([40, 0, 0], [90, np.pi, 2 * np.pi])
            along = x * np.cos(turn) + y * np.sin(turn)
            plane += 40 * np.cos(2 * np.pi / length * along + phase)
        planes.append(plane)
    return np.clip(np.rint(np.dstack(planes)), 0, 255).astype(np.uint8)


def images(channels):
    """The images of smooth<channels>.rec: (height, width) gray, or with 3 or 4 channels, RGB."""
    made = [smooth(number, *size, channels=channels) for number, size in enumerate(SIZES)]
    return [image[:, :, 0] for image in made] if channels == 1 else made


def write_inputs(mx):
    """Write the record files and the mean image, whose fractions 0, 1/4, 1/2, 3/4 round apart."""
    import cv2
    import numpy as np

    for channels in (1, 3, 4):
        path = os.path.join(DATA, "smooth%d" % channels)
        writer = mx.recordio.MXIndexedRecordIO(path + ".idx", path + ".rec", "w")
        for number, image in enumerate(images(channels)):
            swapped = image if channels == 1 else image[:, :, [2, 1, 0, 3][:channels]]
            encoded = cv2.imencode(".png", swapped, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
            header = mx.recordio.IRHeader(0, LABEL, number, 0)
            writer.write_idx(number, mx.recordio.pack(header, encoded.tobytes()))
        writer.close()
    _, height, width = MEAN
    mean = smooth(9, width, height, 3).transpose(2, 0, 1).astype(np.float32)
    mean = mx.nd.array(mean + np.arange(width) % 4 / 4)
    mx.nd.save(os.path.join(DATA, "smooth_mean.nd"), {"mean_img": mean})
    mx.nd.save(os.path.join(DATA, "smooth_mean_list.nd"), [mean])


def write_large(folder, recordio):
    """A record file that is large enough for chunks; labels are the records' numbers."""
    import cv2
    import numpy as np

    path = os.path.join(folder, "large.rec")
    encoded = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    writer = recordio.MXRecordIO(path, "w")
    for number in range(CHUNK_RECORDS):
        header = recordio.IRHeader(0, float(number), number, 0)
        # Decoders do not read what follows an image's end.
        writer.write(recordio.pack(header, encoded + b"\0" * 100000))
    writer.close()
    return path


def chunk_starts(iterator):
    """The first records of all runs of consecutive records, over some epochs."""
    starts = set()
    for _ in range(CHUNK_EPOCHS):
        last = None
        for batch in iterator:
            for label in batch.label[0].asnumpy().astype(int).tolist():
                if last is None or label != last + 1:
                    starts.add(label)
                last = label
        iterator.reset()
    return sorted(starts)


def shrink(array):
    """The same array, as uint8 where that loses nothing."""
    import numpy as np

    as_bytes = array.astype(np.uint8)
    return as_bytes if np.array_equal(as_bytes, array) else array


def main():
    """Write all files."""
    import mxnet as mx
    import numpy as np

    write_inputs(mx)
    found = {}
    for case, (iterator, _) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            named = arguments(case, folder)
            batches = getattr(mx.io, iterator)(**named)
            # MXNet writes new batches into old ones.
            pixels = np.concatenate([batch.data[0].asnumpy().copy() for batch in batches])
            found[case] = shrink(pixels)
            if named.get("mean_img", "").startswith(folder):
                (written,) = mx.nd.load(named["mean_img"]).values()
                found[case + ", written"] = written.asnumpy()
    np.savez_compressed(os.path.join(DATA, "record_options.npz"), **found)
    with tempfile.TemporaryDirectory() as folder:
        path = write_large(folder, mx.recordio)
        starts = {
            case: chunk_starts(
                mx.io.ImageRecordIter(
                    path_imgrec=path, data_shape=(3, 8, 8), batch_size=10, verbose=False, **options
                )
            )
            for case, options in CHUNK_CASES.items()
        }
    with open(os.path.join(DATA, "record_chunks.json"), "w") as file:
        json.dump(starts, file)


if __name__ == "__main__":
    main()
